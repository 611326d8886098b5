#include "currency.h"

#include <string.h>

#define STEP (TCI_CURRENCY_LEN + 1)

/* In order. Recent changes: ZWG for ZWL (2024), XCG for ANG (2025), XAD (2025), BGN gave way to EUR (2026). */
static const char codes[] = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CLF CLP "
                            "CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS "
                            "INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR "
                            "MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD "
                            "SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST "
                            "XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG ";

int tci_currency_known(tc_text text) {
  size_t low = 0, high = (sizeof codes - 1) / STEP;
  if (!text.ptr || text.len != TCI_CURRENCY_LEN) return 0;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int by = memcmp(codes + middle * STEP, text.ptr, TCI_CURRENCY_LEN);
    if (!by) return 1;
    if (by < 0) low = middle + 1;
    else high = middle;
  }
  return 0;
}

/* libpq.h - libpq, loaded with the first postgresql: URL. Instead of <libpq-fe.h>. */
#ifndef TCI_STORAGE_LIBPQ_H
#define TCI_STORAGE_LIBPQ_H

#include <libpq-fe.h>

#include "base/library.h"

#define TCI_LIBPQ_FUNCTIONS(X) \
  X(PQbackendPID)              \
  X(PQclear)                   \
  X(PQconnectPoll)             \
  X(PQconnectStartParams)      \
  X(PQconninfoFree)            \
  X(PQconninfoParse)           \
  X(PQconsumeInput)            \
  X(PQerrorMessage)            \
  X(PQfinish)                  \
  X(PQflush)                   \
  X(PQfreemem)                 \
  X(PQgetResult)               \
  X(PQgetisnull)               \
  X(PQgetlength)               \
  X(PQgetvalue)                \
  X(PQisBusy)                  \
  X(PQnotifies)                \
  X(PQntuples)                 \
  X(PQresultErrorField)        \
  X(PQresultStatus)            \
  X(PQsendPrepare)             \
  X(PQsendQuery)               \
  X(PQsendQueryPrepared)       \
  X(PQserverVersion)           \
  X(PQsetNoticeProcessor)      \
  X(PQsetnonblocking)          \
  X(PQsocket)                  \
  X(PQstatus)                  \
  X(PQtransactionStatus)

typedef struct tci_libpq_functions {
#define TCI_LIBPQ_MEMBER(name) __typeof__(name) *name;
  TCI_LIBPQ_FUNCTIONS(TCI_LIBPQ_MEMBER)
#undef TCI_LIBPQ_MEMBER
} tci_libpq_functions;

extern tci_library tci_libpq_library;
extern tci_libpq_functions tci_libpq; /* not before tci_library_load(&tci_libpq_library) said TC_OK */

/* One that is missing here does not link: nothing is linked with libpq. */
#define PQbackendPID tci_libpq.PQbackendPID
#define PQclear tci_libpq.PQclear
#define PQconnectPoll tci_libpq.PQconnectPoll
#define PQconnectStartParams tci_libpq.PQconnectStartParams
#define PQconninfoFree tci_libpq.PQconninfoFree
#define PQconninfoParse tci_libpq.PQconninfoParse
#define PQconsumeInput tci_libpq.PQconsumeInput
#define PQerrorMessage tci_libpq.PQerrorMessage
#define PQfinish tci_libpq.PQfinish
#define PQflush tci_libpq.PQflush
#define PQfreemem tci_libpq.PQfreemem
#define PQgetResult tci_libpq.PQgetResult
#define PQgetisnull tci_libpq.PQgetisnull
#define PQgetlength tci_libpq.PQgetlength
#define PQgetvalue tci_libpq.PQgetvalue
#define PQisBusy tci_libpq.PQisBusy
#define PQnotifies tci_libpq.PQnotifies
#define PQntuples tci_libpq.PQntuples
#define PQresultErrorField tci_libpq.PQresultErrorField
#define PQresultStatus tci_libpq.PQresultStatus
#define PQsendPrepare tci_libpq.PQsendPrepare
#define PQsendQuery tci_libpq.PQsendQuery
#define PQsendQueryPrepared tci_libpq.PQsendQueryPrepared
#define PQserverVersion tci_libpq.PQserverVersion
#define PQsetNoticeProcessor tci_libpq.PQsetNoticeProcessor
#define PQsetnonblocking tci_libpq.PQsetnonblocking
#define PQsocket tci_libpq.PQsocket
#define PQstatus tci_libpq.PQstatus
#define PQtransactionStatus tci_libpq.PQtransactionStatus

#endif

/* emoji.h - one emoji, one name: the spellings that differ in U+FE0F (the presentation selector) are one. Pure. */
#ifndef TCI_MODEL_EMOJI_H
#define TCI_MODEL_EMOJI_H

#include "tipcurrent/sys/storage.h"

/* The text without its selectors where that is a sequence of Unicode's emoji-test data (fully, minimally or not qualified, or a component), else the text itself, "Kappa" for one. So two
 * texts are the same emoji exactly when their canonical spellings are equal. The result points to text or into scratch (room for TC_EMOJI_BYTES_MAX). */
tc_text tci_emoji_canonical(tc_text text, char *scratch);

#endif

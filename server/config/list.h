/* list.h - texts with commas. */
#ifndef TCD_CONFIG_LIST_H
#define TCD_CONFIG_LIST_H

#include "tipcurrent/common.h"

/* Takes the next item off *rest, without the white space around it. 1, or 0 when there is none left.
 * Start with the whole text; an empty text is one empty item. */
int tcd_list_next(tc_text *rest, tc_text *item);
tc_text tcd_trim(tc_text text); /* without spaces and tabs around */

#endif

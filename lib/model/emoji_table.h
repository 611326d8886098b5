/* emoji_table.h - what Unicode's emoji-test data know, without U+FE0F. Made by scripts/emoji_table.py. */
#ifndef TCI_MODEL_EMOJI_TABLE_H
#define TCI_MODEL_EMOJI_TABLE_H

#include <stddef.h>
#include <stdint.h>

#define TCI_EMOJI_POINTS_MAX 9
#define TCI_EMOJI_TONE 0x1F3FB /* stands for each of the five skin tones */
#define TCI_EMOJI_TONES 5

/* Emoji of one code point, ascending. */
typedef struct tci_emoji_range {
  uint32_t first, last;
} tci_emoji_range;
extern const tci_emoji_range tci_emoji_singles[];
extern const size_t tci_emoji_single_count;

/* Of several, 0 behind the last; ascending by code points. */
typedef struct tci_emoji_sequence {
  uint8_t tones_differ; /* 1: its two tones are not the same */
  uint32_t points[TCI_EMOJI_POINTS_MAX];
} tci_emoji_sequence;
extern const tci_emoji_sequence tci_emoji_sequences[];
extern const size_t tci_emoji_sequence_count;

#endif

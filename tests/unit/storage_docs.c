/* What every backend must keep of configuration documents. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage_suite.h"

/* "1=a 2=b " */
static int list_doc(int64_t id, tc_text doc, void *arg) {
  char *out = arg;
  size_t len = strlen(out);
  (void)snprintf(out + len, 256 - len, "%lld=%.*s ", (long long)id, (int)doc.len, doc.ptr);
  return 0;
}

static void assert_docs(uint32_t kind, const char *expected) {
  char found[256] = "";
  ck_assert_msg(!ops->config_read(storage, kind, list_doc, found), "%s", last_fail());
  ck_assert_str_eq(found, expected);
}

static int64_t put_doc(uint32_t kind, int64_t id, const char *doc) {
  ck_assert_msg(!ops->config_put(storage, kind, &id, text_of(doc)), "%s", last_fail());
  return id;
}

START_TEST(documents_are_put_read_and_removed) {
  assert_docs(1, "");
  ck_assert_int_eq(put_doc(1, 0, "a"), 1);
  ck_assert_int_eq(put_doc(1, 0, "b"), 2);
  ck_assert_int_eq(put_doc(2, 0, "other"), 1); /* each kind counts by itself */
  ck_assert_int_eq(put_doc(1, 1, "A"), 1);
  assert_docs(1, "1=A 2=b ");
  assert_docs(2, "1=other ");
  assert_docs(63, "");
  ck_assert_int_eq(ops->config_remove(storage, 1, 1), TC_OK);
  assert_docs(1, "2=b ");
  clear_fail();
  ck_assert_int_eq(ops->config_remove(storage, 1, 1), TC_ENOTFOUND);
  ck_assert_str_ne(last_fail(), "");
  assert_docs(2, "1=other ");
}
END_TEST

START_TEST(a_document_s_number_is_never_given_again) {
  ck_assert_int_eq(put_doc(1, 0, "a"), 1);
  ck_assert_int_eq(put_doc(1, 0, "b"), 2);
  ck_assert_int_eq(ops->config_remove(storage, 1, 2), TC_OK);
  ck_assert_int_eq(put_doc(1, 0, "c"), 3);
  ck_assert_int_eq(put_doc(1, 10, "far"), 10);
  ck_assert_int_eq(ops->config_remove(storage, 1, 10), TC_OK);
  ck_assert_int_eq(put_doc(1, 0, "d"), 11);
  ck_assert_int_eq(put_doc(1, 5, "between"), 5);
  ck_assert_int_eq(put_doc(1, 0, "e"), 12);
  assert_docs(1, "1=a 3=c 5=between 11=d 12=e ");
}
END_TEST

static int keep_doc(int64_t id, tc_text doc, void *arg) {
  tc_text *out = arg;
  (void)id;
  char *copy = malloc(doc.len + 1);
  ck_assert_ptr_nonnull(copy);
  memcpy(copy, doc.ptr, doc.len);
  *out = (tc_text){copy, doc.len};
  return 1;
}

START_TEST(a_document_is_kept_byte_for_byte) {
  static char bytes[TC_CONFIG_DOC_MAX];
  static const size_t lengths[] = {0, 1, 5000, TC_CONFIG_DOC_MAX};
  size_t len = lengths[_i];
  for (size_t i = 0; i < len; i++) bytes[i] = (char)('!' + i * 7 % 90);
  int64_t id = 0;
  ck_assert_msg(!ops->config_put(storage, 63, &id, (tc_text){bytes, len}), "%s", last_fail());
  tc_text kept = {NULL, 0};
  ck_assert_int_eq(ops->config_read(storage, 63, keep_doc, &kept), TC_OK);
  ck_assert_ptr_nonnull(kept.ptr);
  ck_assert_uint_eq(kept.len, len);
  ck_assert(!memcmp(kept.ptr, bytes, len));
  free((void *)(uintptr_t)kept.ptr);
}
END_TEST

START_TEST(a_wrong_document_is_refused_and_changes_nothing) {
  static char bytes[TC_CONFIG_DOC_MAX + 1];
  memset(bytes, 'x', sizeof bytes);
  int64_t id = 0, negative = -1;
  put_doc(1, 0, "a");
  ck_assert_int_eq(ops->config_put(storage, 1, &id, (tc_text){bytes, sizeof bytes}), TC_EINVAL);
  ck_assert_int_eq(ops->config_put(storage, 1, &id, (tc_text){NULL, 0}), TC_EINVAL);
  ck_assert_int_eq(ops->config_put(storage, 0, &id, text_of("b")), TC_EINVAL);
  ck_assert_int_eq(ops->config_put(storage, 64, &id, text_of("b")), TC_EINVAL);
  ck_assert_int_eq(ops->config_put(storage, 1, &negative, text_of("b")), TC_EINVAL);
  ck_assert_int_eq(id, 0);
  assert_docs(1, "1=a ");
  ck_assert_int_eq(put_doc(1, INT64_MAX, "last"), INT64_MAX);
  ck_assert_int_eq(ops->config_put(storage, 1, &id, text_of("one more")), TC_ESTORAGE);
  ck_assert_int_eq(id, 0);
}
END_TEST

void storage_docs_tests(TCase *all) {
  tcase_add_test(all, documents_are_put_read_and_removed);
  tcase_add_test(all, a_document_s_number_is_never_given_again);
  tcase_add_loop_test(all, a_document_is_kept_byte_for_byte, 0, 4);
  tcase_add_test(all, a_wrong_document_is_refused_and_changes_nothing);
}

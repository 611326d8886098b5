/* journal.hpp - a file of frames, each whole or not there: what was being written when the power went is cut off at the next open. */
#ifndef OWN_STORAGE_JOURNAL_HPP
#define OWN_STORAGE_JOURNAL_HPP

#include <cstdint>
#include <functional>
#include <string>
#include <tipcurrent/sys/storage.h>

class journal {
public:
  journal() : fd_(-1), end_(0), torn_(false) {}
  ~journal();
  journal(const journal &) = delete;
  journal &operator=(const journal &) = delete;

  /* false: the frame makes no sense. */
  typedef std::function<bool(std::string payload)> frame_fn;

  /* Opens path, creating it, and gives each frame to fn. TC_EBUSY: somebody has it open. */
  int open(const std::string &path, const tc_storage_env &env, const frame_fn &fn);
  /* One frame at the end. durable: on disk when it returns. TC_ESTORAGE: it is not there. TC_EUNKNOWN: it may be; settle() decides. */
  int append(const std::string &payload, bool durable);
  /* Takes away what a failed append may have left. TC_EUNKNOWN: that fails too. */
  int settle();
  /* All frames as they are on disk. TC_ECORRUPT with a line of detail. */
  int read(const frame_fn &fn) const;

private:
  int begin(const std::string &path);
  int not_whole(std::int64_t end_of_frame) const;
  int fail(int code, const char *what) const;

  int fd_;
  std::int64_t end_; /* of the last whole frame */
  bool torn_;        /* beyond end_ there may be something */
  std::string path_;
  tc_storage_env env_;
};

#endif

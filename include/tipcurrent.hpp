/* tipcurrent.hpp - libtipcurrent for C++11 and later: header-only, over the C API of tipcurrent.h, which stays the manual for what each call means.
 *
 * cpp/result.hpp        result<T>: a value or an error      cpp/event.hpp        event, page
 * cpp/input.hpp         what is created and asked for       cpp/answer.hpp       goals, webhooks, statistics, boards
 * cpp/options.hpp       how an engine is opened             cpp/subscription.hpp follow the log
 * cpp/batch.hpp         many creates in one call        cpp/engine.hpp       the engine: all calls
 * cpp/move.hpp          backups, checks, exports, migration, import
 *
 * What C++ adds
 *  - Handles close themselves. event is shared (a copy is one more reference); engine, page, subscription, stats and board are moved, not copied.
 *  - Nothing throws by itself: calls give a result<T>. Who wants exceptions asks for one by or_throw(). The headers compile with -fno-exceptions and -fno-rtti.
 *  - Callbacks are std::function and live as long as C may call them, also when a subscription is closed from inside its own. They must not throw: between them and the caller
 *    lies C, so an exception that leaves one ends the program (std::terminate). So does a std::bad_alloc there.
 *  - Text is std::string inside structs, absent until set. Amounts stay int64 hundredths, times int64 microseconds UTC.
 *
 * Threads, blocking and errors are those of the C function with the same name. A first program: examples/overlay.cpp.
 */
#ifndef TIPCURRENT_HPP
#define TIPCURRENT_HPP

#include "tipcurrent/cpp/engine.hpp"
#include "tipcurrent/cpp/move.hpp"

#endif

//! The exit status that a call leaves beside its value: what Salt keeps as `__context__['retcode']`. A call is answered
//! on one thread, so the thread carries it.

use std::cell::Cell;

thread_local! {
    static RETCODE: Cell<i32> = const { Cell::new(0) };
}

/// Leaves the status of the command that the function ran.
pub fn set(code: i32) {
    RETCODE.set(code);
}

/// Takes the status of the last command, 0 if there was none.
pub fn take() -> i32 {
    RETCODE.take()
}

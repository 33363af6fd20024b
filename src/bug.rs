//! Panics: where one strikes a piece of work that stands for itself, only that is lost; anywhere else it ends the process,
//! because the threads that are left would wait for the one that is gone, and look healthy.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    /// How many pieces of work, one in the other, this thread is in.
    static CONTAINED: Cell<usize> = const { Cell::new(0) };
}

/// Does a piece of work that may fail alone; nothing where it panics.
pub fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    CONTAINED.with(|depth| depth.set(depth.get() + 1));
    let done = catch_unwind(AssertUnwindSafe(work));
    CONTAINED.with(|depth| depth.set(depth.get() - 1));
    done.ok()
}

/// Has panics treated so. Whoever watches over the process starts it anew.
pub fn end_the_process() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // A thread that ends has no such count any more, and nobody to catch what happens in it.
        if CONTAINED.try_with(Cell::get).unwrap_or(0) > 0 {
            log::error!("a bug, please report it: {panic}");
            return;
        }
        print(panic);
        std::process::abort();
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_work_is_lost() {
        let depth = || CONTAINED.with(Cell::get);
        assert_eq!(contained(|| 1), Some(1));
        let outer = contained(|| {
            assert_eq!(contained(|| -> i32 { panic!("a bug") }), None);
            depth()
        });
        assert_eq!((outer, depth()), (Some(1), 0));
    }
}

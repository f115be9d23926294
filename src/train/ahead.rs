//! A thread that makes the next values while the last one is used.
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// How many values wait, besides the one in work.
const WAITING: usize = 1;

/// Values that are made in their order on a thread of their own, up to two before they are asked for.
///
/// Dropped, it waits for the value in work: nothing is read any more afterwards.
pub(super) struct Ahead<T> {
    made: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Begins to call `make`, until it returns `None`.
    pub fn start(mut make: impl FnMut() -> Option<T> + Send + 'static) -> Self {
        let (sender, made) = sync_channel(WAITING);
        let work = move || {
            while let Some(value) = make() {
                if sender.send(value).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("loader".into()).spawn(work).expect("a thread");
        Self { made: Some(made), thread: Some(thread) }
    }

    /// The next value; a panic of the thread becomes one here.
    pub fn next(&mut self) -> Option<T> {
        let value = self.made.as_ref()?.recv().ok();
        if value.is_none() {
            self.made = None;
            if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
                resume_unwind(panic);
            }
        }
        value
    }
}

impl<T> Drop for Ahead<T> {
    fn drop(&mut self) {
        // Without a receiver the thread ends.
        self.made = None;
        if let Some(thread) = self.thread.take() {
            // Nobody asked for the value that made it panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    fn until(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed() < Duration::from_secs(20), "nothing happens");
            std::thread::yield_now();
        }
    }

    #[test]
    fn two_values_are_made_before_they_are_asked_for_and_all_come_in_order() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let mut ahead = Ahead::start(move || Some(count.fetch_add(1, Ordering::SeqCst)).filter(|number| *number < 7));
        until(|| made.load(Ordering::SeqCst) == 2);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(made.load(Ordering::SeqCst), 2, "one waits, one is held by who sends it");
        let all: Vec<usize> = std::iter::from_fn(|| ahead.next()).collect();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(ahead.next(), None);
    }

    #[test]
    fn a_panic_comes_when_its_value_is_asked_for() {
        let mut numbers = 0..;
        let mut ahead = Ahead::start(move || numbers.next().inspect(|number| assert!(*number < 2, "the third")));
        assert_eq!((ahead.next(), ahead.next()), (Some(0), Some(1)));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ahead.next())).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"the third"));
    }

    #[test]
    fn the_thread_ends_with_it() {
        let alive = Arc::new(());
        let held = alive.clone();
        drop(Ahead::start(move || Some(held.clone())));
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

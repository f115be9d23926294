//! A thread that makes the next values while the last one is used.
use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How many values wait, besides the one in work.
const WAITING: usize = 1;

/// Values that are made in their order on a thread of their own, up to two before they are asked for.
///
/// Dropped, it waits for the value in work: nothing is read any more afterwards.
pub(super) struct Ahead<T> {
    made: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
    /// Where there is no thread.
    inline: Option<Make<T>>,
}

type Make<T> = Box<dyn FnMut() -> Option<T> + Send>;

impl<T: Send + 'static> Ahead<T> {
    /// Begins to call `make`, until it returns `None`.
    ///
    /// A worker of rayon calls it when the value is asked for: while it waited it would block, and `make` may need that
    /// very worker. So does whoever can have no thread.
    pub fn start(make: impl FnMut() -> Option<T> + Send + 'static) -> Self {
        if rayon::current_thread_index().is_some() {
            return Self { made: None, thread: None, inline: Some(Box::new(make)) };
        }
        let (sender, made) = sync_channel(WAITING);
        let make = Arc::new(Mutex::new(make));
        let mine = make.clone();
        let work = move || {
            let mut make = mine.lock().unwrap_or_else(PoisonError::into_inner);
            while let Some(value) = make() {
                if sender.send(value).is_err() {
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("loader".into()).spawn(work) {
            Ok(thread) => Self { made: Some(made), thread: Some(thread), inline: None },
            Err(_) => {
                let make = move || (make.lock().unwrap_or_else(PoisonError::into_inner))();
                Self { made: None, thread: None, inline: Some(Box::new(make)) }
            }
        }
    }

    /// The next value; a panic of the thread becomes one here.
    pub fn next(&mut self) -> Option<T> {
        if let Some(make) = &mut self.inline {
            return make();
        }
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

impl<T> Ahead<T> {
    /// Whether more may come.
    pub fn goes_on(&self) -> bool {
        self.made.is_some() || self.inline.is_some()
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
    fn a_worker_makes_values_itself() {
        let work = || {
            let mut ahead = Ahead::start(|| Some(rayon::current_thread_index().unwrap()));
            (0..3).all(|_| ahead.next() == rayon::current_thread_index())
        };
        assert!(rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work));
    }

    #[test]
    fn the_thread_ends_with_it() {
        let alive = Arc::new(());
        let held = alive.clone();
        drop(Ahead::start(move || Some(held.clone())));
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

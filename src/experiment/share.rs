//! Groups of work shared between devices.
use crate::{Error, Result, device_memory};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What takes less memory of a device.
const FEWER: &str = "fewer at a time may fit: a smaller `batch_size` of the sampler or of `compare`, a smaller `batch` of an \
                     encoding or of a decoder";

/// Gives each of `groups` to whichever of `workers` is free, until none is left or one has failed. Every one ends before the
/// first error is told.
///
/// # Errors
/// Those of `work`; [`Error::Invalid`] that says what to do where a device has no memory left.
pub(super) fn share<W: Sync>(
    workers: &[W],
    groups: &[usize],
    work: impl Fn(&W, usize) -> Result<()> + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let all = |worker: &W| {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            let done = device_memory::guarded(|| FEWER.into(), || work(worker, *group));
            done.inspect_err(|_| next.store(groups.len(), Ordering::Relaxed))?;
        }
        Ok(())
    };
    let all = &all;
    std::thread::scope(|scope| {
        let threads: Vec<_> = workers.iter().map(|worker| scope.spawn(move || all(worker))).collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let panicked = |_| Error::Invalid("a thread that works for a device panicked".into());
        ended.into_iter().try_for_each(|end| end.map_err(panicked)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    #[test]
    fn every_group_is_done_once_and_an_error_ends_all() {
        let done = Mutex::new(Vec::new());
        let groups: Vec<usize> = (10..60).collect();
        share(&[(), ()], &groups, |(), group| {
            done.lock().unwrap().push(group);
            Ok(())
        })
        .unwrap();
        let found = done.into_inner().unwrap();
        assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (50, groups.iter().copied().collect()));
        let done = AtomicUsize::new(0);
        let error = share(&[()], &groups, |(), group| match group {
            12 => Err(Error::Invalid("twelve".into())),
            _ => {
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        });
        assert_eq!((error.unwrap_err().to_string(), done.into_inner()), ("twelve".to_string(), 2));
    }
}

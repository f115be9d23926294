//! `--until`: a step, or a time of day.
use crate::signals;
use jiff::civil::Time;
use jiff::{ToSpan, Zoned};
use std::time::Duration;

/// When a training is to end, to go on another day.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// After this step.
    Step(usize),
    /// At this time of day, the next time that it is.
    Time(Time),
}

/// `500`, `07:30`.
pub fn parse(text: &str) -> Result<Until, String> {
    let wrong = || "must be a step, as 5000, or a time of day, as 07:30".to_string();
    if let Some((hours, minutes)) = text.split_once(':') {
        let time = Time::new(hours.parse().map_err(|_| wrong())?, minutes.parse().map_err(|_| wrong())?, 0, 0);
        return time.map(Until::Time).map_err(|_| wrong());
    }
    text.parse().ok().filter(|step| *step > 0).map(Until::Step).ok_or_else(wrong)
}

impl Until {
    /// The step, if it is one; a time of day asks for the end when it comes.
    pub fn step(self) -> Option<usize> {
        match self {
            Self::Step(step) => Some(step),
            Self::Time(time) => {
                let wait = until(&Zoned::now(), time);
                std::thread::spawn(move || {
                    std::thread::sleep(wait);
                    signals::stop().request(REASON);
                });
                None
            }
        }
    }
}

/// How a stop by `--until` is told from others.
pub const REASON: &str = "as --until asks for it at this time";

fn until(now: &Zoned, time: Time) -> Duration {
    let today = now.with().time(time).build();
    let next = today.and_then(|today| if today > *now { Ok(today) } else { today.checked_add(1.day()) });
    // A clock that cannot say when that is does not end the training.
    next.ok().and_then(|next| now.duration_until(&next).try_into().ok()).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_and_times_are_told_apart() {
        assert_eq!(parse("500"), Ok(Until::Step(500)));
        assert_eq!(parse("7:30"), Ok(Until::Time(Time::constant(7, 30, 0, 0))));
        for wrong in ["0", "-1", "25:00", "7:x", "soon", ""] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_that_is_past_is_tomorrow() {
        let now: Zoned = "2026-03-01T08:00:00[UTC]".parse().unwrap();
        assert_eq!(until(&now, Time::constant(9, 30, 0, 0)), Duration::from_secs(90 * 60));
        assert_eq!(until(&now, Time::constant(7, 0, 0, 0)), Duration::from_secs(23 * 3600));
    }
}

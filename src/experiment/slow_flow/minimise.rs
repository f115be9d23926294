//! The minimum of a function of one variable on [0, 1].

/// Values of a first look, from 0 to 1.
const GRID: usize = 17;

/// Where `f` is least on [0, 1], to 5e-4: the best of 17 values, then golden section between its neighbours.
pub(super) fn minimise(f: &mut dyn FnMut(f64) -> f64) -> f64 {
    let place = best(f);
    golden(f, at(place.saturating_sub(1)), at((place + 1).min(GRID - 1)))
}

/// The best of 17 values, to 0.03 of the minimum.
pub(super) fn look(f: &mut dyn FnMut(f64) -> f64) -> f64 {
    at(best(f))
}

fn best(f: &mut dyn FnMut(f64) -> f64) -> usize {
    let values: Vec<f64> = (0..GRID).map(|i| f(at(i))).collect();
    (0..GRID).fold(0, |best, i| if values[i] < values[best] { i } else { best })
}

fn at(place: usize) -> f64 {
    place as f64 / (GRID - 1) as f64
}

/// Golden section; 0 or 1 itself where `f` is least there.
fn golden(f: &mut dyn FnMut(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let ends = [low, high].into_iter().filter(|end| *end == 0.0 || *end == 1.0).collect::<Vec<_>>();
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    while high - low > 1e-3 {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = f(right);
        }
    }
    let inside = [(left, at_left), (right, at_right)];
    let all = inside.into_iter().chain(ends.into_iter().map(|end| (end, f(end))));
    all.reduce(|best, found| if found.1 < best.1 { found } else { best }).map_or(left, |best| best.0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_minima_inside_and_at_the_ends() {
        for least in [0.0, 0.013, 0.37, 0.5, 0.9911, 1.0] {
            let found = super::minimise(&mut |s| (s - least).abs().powf(1.5));
            assert!((found - least).abs() < 1e-3, "{found} {least}");
            assert!((super::look(&mut |s| (s - least).abs()) - least).abs() <= 0.03125);
        }
    }
}

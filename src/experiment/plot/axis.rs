//! Axes: where a value stands, and which values are written beside the axis.

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// The value itself.
    Linear,
    /// Its logarithm; values that are not positive are left out.
    Log,
    /// The logarithm of 1 + value, for relative changes: −50 % is as far from 0 as +100 %. Labels are in percent,
    /// and above +400 % the factor; values at or below −1 are left out.
    Change,
}

/// One axis of a panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
    pub(super) ticks: Vec<f64>,
    pub(super) range: Option<Extent>,
}

impl Axis {
    /// An axis that spans its data, with ticks at round values.
    pub fn new(label: impl Into<String>, scale: Scale) -> Self {
        Self { label: label.into(), scale, ticks: Vec::new(), range: None }
    }

    /// Puts the ticks at these values, as far as their labels do not touch.
    pub fn with_ticks(mut self, mut values: Vec<f64>) -> Self {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        values.dedup();
        self.ticks = values;
        self
    }

    /// Spans `low` to `high` whatever the data; a range that is empty or not drawable is ignored.
    pub fn within(mut self, low: f64, high: f64) -> Self {
        let ends = self.scale.place(low).zip(self.scale.place(high));
        self.range = ends.map(|(low, high)| Extent { low, high }).filter(|extent| extent.low < extent.high);
        self
    }

    /// The span of `places` with a margin on both sides, or the fixed range.
    pub(super) fn extent(&self, places: impl Iterator<Item = f64>) -> Extent {
        if let Some(range) = self.range {
            return range;
        }
        let (low, high) = places.fold((f64::MAX, f64::MIN), |(low, high), p| (low.min(p), high.max(p)));
        if low > high {
            return Extent { low: 0.0, high: 1.0 };
        }
        // A single value stands in the middle.
        let least = if self.scale == Scale::Linear { low.abs().max(high.abs()).max(1e-9) * 1e-6 } else { 0.1 };
        let margin = 0.06 * (high - low).max(least);
        Extent { low: low - margin, high: high + margin }
    }

    /// Ticks within `extent`; `size` is a label's length along the axis in pixels, of which the axis has `pixels`.
    pub(super) fn ticks(&self, extent: Extent, pixels: f64, size: impl Fn(&str) -> f64) -> Vec<Tick> {
        let per_place = pixels / (extent.high - extent.low);
        let tick = |value: &f64| {
            let place = self.scale.place(*value)?;
            let inside = place >= extent.low - 1e-9 && place <= extent.high + 1e-9;
            inside.then(|| Tick { place, label: self.scale.label(*value) })
        };
        let touch =
            |a: &Tick, b: &Tick| (a.place - b.place).abs() * per_place < 0.5 * (size(&a.label) + size(&b.label)) + 8.0;
        let mut shown: Vec<Tick> = Vec::new();
        if !self.ticks.is_empty() {
            for next in self.ticks.iter().filter_map(tick) {
                if !shown.iter().any(|other| touch(&next, other)) {
                    shown.push(next);
                }
            }
            return shown;
        }
        // From coarse to fine; the finest whose labels have room wins.
        for values in self.scale.candidates(extent) {
            let ticks: Vec<Tick> = values.iter().filter_map(tick).collect();
            let fits = !ticks.windows(2).any(|pair| touch(&pair[0], &pair[1]));
            if ticks.len() > shown.len() && fits {
                shown = ticks;
            }
        }
        shown
    }
}

/// A range of places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extent {
    pub low: f64,
    pub high: f64,
}

/// A labelled place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    pub place: f64,
    pub label: String,
}

/// Values beyond this size are left out, for their differences may not be finite.
const LARGEST: f64 = 1e100;

impl Scale {
    /// Where a value stands; `None` if it cannot be drawn.
    pub(super) fn place(self, value: f64) -> Option<f64> {
        let place = match self {
            Self::Linear => value,
            Self::Log => value.log10(),
            Self::Change => (1.0 + value).log10(),
        };
        (place.is_finite() && place.abs() <= LARGEST).then_some(place)
    }

    fn label(self, value: f64) -> String {
        match self {
            Self::Linear | Self::Log => number(value),
            Self::Change if value > 4.0 => format!("×{}", number(1.0 + value)),
            Self::Change if value > 0.0 => format!("+{} %", number(100.0 * value)),
            Self::Change => format!("{} %", number(100.0 * value)),
        }
    }

    /// Lists of round values that cover `extent`, from coarse to fine.
    fn candidates(self, extent: Extent) -> Vec<Vec<f64>> {
        let Extent { low, high } = extent;
        let value = |place: f64| match self {
            Self::Linear => place,
            Self::Log => 10f64.powf(place),
            Self::Change => 10f64.powf(place) - 1.0,
        };
        let even = even_steps(value(low), value(high));
        match self {
            Self::Linear => even,
            Self::Log => {
                let decades = low.floor() as i32..=high.ceil() as i32;
                let with = |factors: &[f64]| -> Vec<f64> {
                    let of = |decade: i32| factors.iter().map(move |factor| scaled(*factor, decade));
                    decades.clone().flat_map(of).collect()
                };
                let fine: Vec<f64> = (1..10).map(f64::from).collect();
                let mut lists: Vec<_> = [&[1.0][..], &[1.0, 3.0], &[1.0, 2.0, 5.0], &fine].map(with).into();
                if high - low < 0.7 {
                    lists.extend(even);
                }
                lists
            }
            Self::Change if high - low < 0.35 => even,
            Self::Change => {
                let decades: Vec<i32> = (low.floor() as i32..=high.ceil() as i32).collect();
                // Factors in every decade; those around 1 are round percentages.
                let with = |factors: &[f64], percent: &[i32]| {
                    let far = decades.iter().filter(|d| **d > 0 || **d < -1);
                    let factors = far.flat_map(|d| factors.iter().map(|factor| scaled(*factor, *d) - 1.0));
                    let near = percent.iter().map(|p| f64::from(*p) / 100.0);
                    let mut values: Vec<f64> = near.chain(factors).collect();
                    values.sort_by(f64::total_cmp);
                    values
                };
                vec![
                    with(&[1.0], &[-90, 0]),
                    with(&[1.0], &[-90, -50, 0, 100, 400]),
                    with(&[1.0, 2.0, 5.0], &[-90, -75, -50, -25, 0, 50, 100, 200, 400]),
                    with(
                        &[1.0, 2.0, 3.0, 5.0, 7.0],
                        &[-90, -80, -70, -60, -50, -40, -30, -20, -10, 0, 10, 20, 30, 50, 75, 100, 150, 200, 300, 400],
                    ),
                ]
            }
        }
    }
}

/// Multiples of 1, 2 and 5 times powers of ten, from few to many.
fn even_steps(low: f64, high: f64) -> Vec<Vec<f64>> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let decade = span.log10().floor() as i32;
    let steps = [(5.0, decade), (2.0, decade), (1.0, decade), (5.0, decade - 1), (2.0, decade - 1), (1.0, decade - 1)];
    let list = |(factor, decade): (f64, i32)| {
        let step = scaled(factor, decade);
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let count = if last >= first { (last - first) as usize + 1 } else { 0 };
        (0..count.min(200)).map(|i| scaled((first + i as f64) * factor, decade)).collect()
    };
    steps.map(list).into()
}

/// factor · 10^decade without the rounding of a power below one.
fn scaled(factor: f64, decade: i32) -> f64 {
    if decade >= 0 { factor * 10f64.powi(decade) } else { factor / 10f64.powi(-decade) }
}

/// A number as people write it.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let exponent = value.abs().log10().floor();
    let text = if (-4.0..6.0).contains(&exponent) {
        let decimals = (9.0 - exponent) as usize;
        let text = format!("{value:.decimals$}");
        text.trim_end_matches('0').trim_end_matches('.').to_string()
    } else {
        format!("{:e}", format!("{value:.6e}").parse().unwrap_or(value))
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, low: f64, high: f64, pixels: f64) -> Vec<String> {
        let place = |v| axis.scale.place(v).unwrap();
        let extent = Extent { low: place(low), high: place(high) };
        axis.ticks(extent, pixels, |label| 7.0 * label.chars().count() as f64).into_iter().map(|t| t.label).collect()
    }

    #[test]
    fn ticks_stand_where_the_points_are() {
        let axis = Axis::new("steps", Scale::Log).with_ticks(vec![50.0, 5.0, 10.0, 20.0, 10.0, f64::NAN]);
        assert_eq!(labels(&axis, 4.5, 55.0, 400.0), ["5", "10", "20", "50"]);
        assert_eq!(labels(&axis, 4.5, 55.0, 60.0), ["5", "20"]);
    }

    #[test]
    fn round_values_have_short_labels() {
        let axis = Axis::new("", Scale::Linear);
        assert_eq!(labels(&axis, 0.0, 1.0, 150.0), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&axis, -0.031, 0.012, 200.0), ["−0.03", "−0.02", "−0.01", "0", "0.01"]);
        let axis = Axis::new("", Scale::Log);
        assert_eq!(labels(&axis, 0.08, 4.0, 200.0), ["0.1", "0.2", "0.5", "1", "2"]);
    }

    #[test]
    fn changes_are_percent() {
        let axis = Axis::new("", Scale::Change);
        assert_eq!(labels(&axis, -0.5, 1.0, 120.0), ["−50 %", "0 %", "+100 %"]);
        assert_eq!(labels(&axis, -0.2, 400.0, 400.0), ["0 %", "+100 %", "+400 %", "×10", "×100"]);
        assert_eq!(labels(&axis, -0.06, 0.06, 200.0), ["−5 %", "0 %", "+5 %"]);
    }

    #[test]
    fn what_cannot_be_drawn_has_no_place() {
        for value in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            assert_eq!(Scale::Log.place(value), None);
        }
        assert_eq!(Scale::Change.place(-1.0), None);
        assert_eq!(Scale::Linear.place(1e200), None);
        assert_eq!(Axis::new("", Scale::Log).within(0.0, 1.0).range, None);
    }

    #[test]
    fn one_value_has_an_extent() {
        for (scale, value) in [(Scale::Linear, 0.0), (Scale::Linear, 1e90), (Scale::Log, 5.0), (Scale::Change, 0.0)] {
            let extent = Axis::new("", scale).extent(scale.place(value).into_iter());
            assert!(extent.low < extent.high, "{extent:?}");
        }
        assert!(Axis::new("", Scale::Log).extent(std::iter::empty()).high == 1.0);
    }

    #[test]
    fn numbers_read_well() {
        let texts = [0.30000000000000004, 1e-7, 1e6, 123456.0, -0.05, 2.5e-300].map(number);
        assert_eq!(texts, ["0.3", "1e−7", "1e6", "123456", "−0.05", "2.5e−300"]);
    }
}

//! Colours, markers and dashes of lines: no two of the first thirty look alike.
use super::Ink;

/// Lines that differ for normal and for colour-blind eyes; any first few differ the most.
pub(super) const COLORS: [[u8; 3]; 10] = [
    [0x00, 0x72, 0xB2],
    [0xD5, 0x5E, 0x00],
    [0x33, 0xBB, 0xEE],
    [0x88, 0x22, 0x55],
    [0xCC, 0xBB, 0x44],
    [0x11, 0x77, 0x33],
    [0xEE, 0x33, 0x77],
    [0x33, 0x22, 0x88],
    [0xE3, 0x77, 0xC2],
    [0x7A, 0x3E, 0x00],
];
const GREY: [u8; 3] = [0x8A; 3];
const BLACK: [u8; 3] = [0x1A; 3];
/// Stops of a ramp from dark to light that is ordered for every eye.
const RAMP: [[u8; 3]; 6] = [
    [0x7B, 0x2D, 0x8B],
    [0x41, 0x4F, 0x9A],
    [0x26, 0x82, 0x8E],
    [0x35, 0xB7, 0x79],
    [0xA5, 0xD0, 0x36],
    [0xE8, 0xC8, 0x1E],
];

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineStyle {
    pub color: [u8; 3],
    pub marker: Marker,
    /// Length of a dash and of the gap after it; none for a solid line.
    pub dash: Option<(i32, i32)>,
}

/// The shape at each point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Circle,
    Square,
    Up,
    Diamond,
    Down,
}

const MARKERS: [Marker; 5] = [Marker::Circle, Marker::Square, Marker::Up, Marker::Diamond, Marker::Down];

impl LineStyle {
    /// The style of an ink; `turn` counts those that take the palette's colours in turn.
    pub fn of(ink: Ink, turn: usize) -> Self {
        // Five markers and ten colours: the second lap is dashed, and the third dotted.
        let dash = [None, Some((7, 4)), Some((2, 3))][turn / COLORS.len() % 3];
        let marker = MARKERS[turn % MARKERS.len()];
        match ink {
            Ink::InTurn => Self { color: COLORS[turn % COLORS.len()], marker, dash },
            Ink::Grey => Self { color: GREY, marker: Marker::Circle, dash: None },
            Ink::Black => Self { color: BLACK, marker: Marker::Circle, dash: None },
            Ink::Ramp(place) => Self { color: ramp(place), marker: Marker::Square, dash: None },
        }
    }
}

/// The ramp's colour at a place in [0, 1].
fn ramp(place: f64) -> [u8; 3] {
    let at = if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 } * (RAMP.len() - 1) as f64;
    let below = (at as usize).min(RAMP.len() - 2);
    let part = at - below as f64;
    [0, 1, 2].map(|c| (f64::from(RAMP[below][c]) * (1.0 - part) + f64::from(RAMP[below + 1][c]) * part).round() as u8)
}

impl Marker {
    /// The corners around (0, 0), as (right, down); a circle has none.
    pub fn corners(self, radius: f64) -> Vec<(i32, i32)> {
        let scaled = |corners: &[(f64, f64)]| {
            corners.iter().map(|(x, y)| ((x * radius).round() as i32, (y * radius).round() as i32)).collect()
        };
        match self {
            Self::Circle => Vec::new(),
            Self::Square => scaled(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
            Self::Up => scaled(&[(0.0, -1.25), (1.15, 0.85), (-1.15, 0.85)]),
            Self::Diamond => scaled(&[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)]),
            Self::Down => scaled(&[(0.0, 1.25), (-1.15, -0.85), (1.15, -0.85)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIE L*a*b* of linear RGB, white D65.
    fn lab(rgb: [f64; 3]) -> [f64; 3] {
        let rows =
            [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]];
        let white = [0.95047, 1.0, 1.08883];
        let f = |i: usize| {
            let x = (0..3).map(|c| rows[i][c] * rgb[c].clamp(0.0, 1.0)).sum::<f64>() / white[i];
            if x > 0.008856 { x.cbrt() } else { 7.787 * x + 16.0 / 116.0 }
        };
        [116.0 * f(1) - 16.0, 500.0 * (f(0) - f(1)), 200.0 * (f(1) - f(2))]
    }

    /// What protanopes, deuteranopes and all others see: Machado et al. 2009, severity 1.
    const EYES: [[[f64; 3]; 3]; 3] = [
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ];

    #[test]
    fn colours_differ_for_every_eye() {
        let linear = |byte: u8| {
            let v = f64::from(byte) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        let all: Vec<[f64; 3]> = COLORS.iter().chain([&BLACK]).map(|c| c.map(linear)).collect();
        for eye in EYES {
            let seen = |c: &[f64; 3]| lab([0, 1, 2].map(|i| (0..3).map(|j| eye[i][j] * c[j]).sum()));
            for (i, a) in all.iter().enumerate() {
                for b in &all[..i] {
                    let (a, b) = (seen(a), seen(b));
                    let apart = (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt();
                    assert!(apart > 13.0, "{a:?} and {b:?} are {apart} apart");
                }
            }
        }
    }

    #[test]
    fn the_first_thirty_lines_differ() {
        let styles: Vec<LineStyle> = (0..30).map(|turn| LineStyle::of(Ink::InTurn, turn)).collect();
        for (i, style) in styles.iter().enumerate() {
            assert!(!styles[..i].contains(style), "line {i}");
        }
    }

    #[test]
    fn the_ramp_ends_in_its_stops() {
        assert_eq!([ramp(0.0), ramp(1.0), ramp(f64::NAN)], [RAMP[0], RAMP[5], RAMP[0]]);
        assert_eq!(ramp(0.2), RAMP[1]);
    }
}

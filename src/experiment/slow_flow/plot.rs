//! The slowed timestep m over the sampling timestep t: a band beside the diagonal, one panel per model.
use super::Measurement;
use crate::data::{Picture, side_by_side};
use crate::{Error, Result};

/// The side of a panel's square, in pixels.
const SIDE: usize = 300;
const MARGIN: usize = 34;
const GRID: [u8; 3] = [225; 3];
const DIAGONAL: [u8; 3] = [120; 3];
/// Bands and lines of the budgets, from few to many steps; colours that differ for the colour-blind.
const COLORS: [[u8; 3]; 6] =
    [[213, 94, 0], [0, 114, 178], [0, 158, 115], [204, 121, 167], [230, 159, 0], [86, 180, 233]];

/// One panel for each `(name, measurements)`, side by side; below the diagonal the states are slow.
///
/// Every measurement is a line with its bootstrap interval as a band, the interval at least 3 pixels high.
///
/// # Errors
/// [`Error::Invalid`] if there is no panel.
pub fn picture(panels: &[(&str, Vec<&Measurement>)]) -> Result<Picture> {
    if panels.is_empty() {
        return Err(Error::Invalid("nothing was measured that could be drawn".into()));
    }
    let drawn: Vec<(&str, Picture)> = panels.iter().map(|(name, all)| (*name, panel(all))).collect();
    side_by_side(&drawn)
}

fn panel(all: &[&Measurement]) -> Picture {
    let mut picture = Picture::new(SIDE + 2 * MARGIN, SIDE + 2 * MARGIN);
    let place = |v: f64| (v.clamp(0.0, 1.0) * SIDE as f64).round() as usize;
    let (x, y) = (|t: f64| MARGIN + place(t), |m: f64| MARGIN + SIDE - place(m));
    for i in 0..=4 {
        let v = f64::from(i) / 4.0;
        (0..=SIDE).for_each(|p| {
            picture.square(x(v), MARGIN + p, 1, GRID);
            picture.square(MARGIN + p, y(v), 1, GRID);
        });
    }
    (0..=SIDE).for_each(|p| picture.square(MARGIN + p, MARGIN + SIDE - p, 1, DIAGONAL));
    for (measured, color) in all.iter().zip(COLORS.iter().cycle()) {
        let light = color.map(|c| 255 - (255 - c) / 3);
        // A state at time 0 is noise.
        let start = (0.0, [0.0; 3]);
        let band = measured.points.iter().map(|p| (p.t, [p.t - p.slowness.high, p.m, p.t - p.slowness.low]));
        let points: Vec<(f64, [f64; 3])> = std::iter::once(start).chain(band).collect();
        for pair in points.windows(2) {
            let ((t0, low), (t1, high)) = (pair[0], pair[1]);
            for column in x(t0)..=x(t1) {
                let part = (column - x(t0)) as f64 / (x(t1) - x(t0)).max(1) as f64;
                let at = [0, 1, 2].map(|i| y(low[i] + part * (high[i] - low[i])));
                (at[2].saturating_sub(1)..=at[0] + 1).for_each(|row| picture.square(column, row, 1, light));
                picture.square(column, at[1].saturating_sub(1), 2, *color);
            }
        }
    }
    for (i, (measured, color)) in all.iter().zip(COLORS.iter().cycle()).enumerate() {
        picture.square(MARGIN + 8, MARGIN + 8 + 20 * i, 12, *color);
        picture.text(MARGIN + 26, MARGIN + 7 + 20 * i, &format!("{} steps", measured.steps));
    }
    picture.text(4, MARGIN + SIDE / 2, "m");
    picture.text(MARGIN + SIDE / 2, MARGIN + SIDE + 14, "t");
    for (v, label) in [(0.0, "0"), (1.0, "1")] {
        picture.text(x(v) - 5, MARGIN + SIDE + 14, label);
        picture.text(14, y(v) - 7, label);
    }
    picture
}

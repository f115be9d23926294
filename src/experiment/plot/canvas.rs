//! Where plotters draws for PNG: pixels, and text by the font that is compiled in.
//!
//! plotters' own bitmap text leaves out the space at the left of each letter, and stands elsewhere than in SVG.
//! Here text stands where the SVG backend puts it.
use super::Picture;
use super::text::{self, Weight};
use plotters_backend::text_anchor::{HPos, VPos};
use plotters_backend::{BackendColor, BackendCoord, BackendTextStyle, DrawingBackend, DrawingErrorKind, FontStyle};
use std::convert::Infallible;

/// Everything is drawn this much larger, so that places are finer than a pixel.
pub(super) const FINE: i32 = 4;
/// plotters' size of a font is this many em.
pub(super) const SIZE_PER_EM: f64 = 1.24;
/// The height of a small letter in em.
const EX: f64 = 0.528;

#[derive(Debug)]
pub(super) struct Canvas<'a>(pub &'a mut Picture);

impl DrawingBackend for Canvas<'_> {
    type ErrorType = Infallible;

    fn get_size(&self) -> (u32, u32) {
        (self.0.width as u32, self.0.height as u32)
    }

    fn ensure_prepared(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn present(&mut self) -> Result<(), DrawingErrorKind<Infallible>> {
        Ok(())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Result<(), DrawingErrorKind<Infallible>> {
        self.0.blend(point.0, point.1, rgb(color), color.alpha as f32);
        Ok(())
    }

    fn draw_text<S: BackendTextStyle>(
        &mut self,
        line: &str,
        style: &S,
        at: BackendCoord,
    ) -> Result<(), DrawingErrorKind<Infallible>> {
        let em = style.size() / SIZE_PER_EM;
        let weight = if matches!(style.style(), FontStyle::Bold) { Weight::Bold } else { Weight::Regular };
        let width = text::width(line, weight, em as f32);
        let left = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -0.5 * width,
            HPos::Right => -width,
        };
        let baseline = match style.anchor().v_pos {
            VPos::Top => 0.76 * em,
            VPos::Center => 0.5 * EX * em,
            VPos::Bottom => -0.5 * EX * em,
        };
        let (left, baseline) = (left.round() as i32, baseline.round() as i32);
        let (turn, color) = (style.transform(), style.color());
        text::pixels(line, weight, em as f32, |x, y, coverage| {
            let (x, y) = turn.transform(left + x, baseline + y);
            self.0.blend(at.0 + x, at.1 + y, rgb(color), coverage * color.alpha as f32);
        });
        Ok(())
    }
}

fn rgb(color: BackendColor) -> [u8; 3] {
    [color.rgb.0, color.rgb.1, color.rgb.2]
}

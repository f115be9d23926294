//! Letters from the font that is compiled in: their widths, and their pixels.
use super::Picture;
use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use std::sync::LazyLock;

/// The font's name in SVG. The letters compiled in are as wide as Arimo's, Arial's and Helvetica's, so that a browser with
/// any of these draws the same layout.
pub(super) const FAMILY: &str = "Arimo, Arial, Helvetica, sans-serif";

const REGULAR: &[u8] = include_bytes!("../../../data/fonts/plot-sans-regular.ttf");
const BOLD: &[u8] = include_bytes!("../../../data/fonts/plot-sans-bold.ttf");

/// Both weights; `None` for a file that does not parse, whose letters are then left out.
static FONTS: LazyLock<[Option<FontRef<'static>>; 2]> =
    LazyLock::new(|| [REGULAR, BOLD].map(|bytes| FontRef::try_from_slice(bytes).ok()));

/// The weight of letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Regular,
    Bold,
}

/// A font and the scale at which an em has the wanted size.
fn font(weight: Weight, em: f32) -> Option<(&'static FontRef<'static>, PxScale)> {
    let font = FONTS[usize::from(weight == Weight::Bold)].as_ref()?;
    // ab_glyph's scale is the height from descender to ascender.
    Some((font, PxScale::from(em * font.height_unscaled() / font.units_per_em()?)))
}

/// The width of a line in pixels, when an em has `em` pixels.
pub(super) fn width(text: &str, weight: Weight, em: f32) -> f32 {
    let Some((font, scale)) = font(weight, em) else { return 0.0 };
    let font = font.as_scaled(scale);
    text.chars().map(|letter| font.h_advance(font.glyph_id(letter))).sum()
}

/// Calls `pixel(x, y, coverage)` for every pixel of a line that starts at 0 on the baseline y = 0.
pub(super) fn pixels(text: &str, weight: Weight, em: f32, mut pixel: impl FnMut(i32, i32, f32)) {
    let Some((font, scale)) = font(weight, em) else { return };
    let scaled = font.as_scaled(scale);
    let mut x = 0.0;
    for letter in text.chars() {
        let id = scaled.glyph_id(letter);
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, point(x, 0.0))) {
            let corner = outline.px_bounds().min;
            outline.draw(|dx, dy, coverage| {
                pixel(corner.x as i32 + dx as i32, corner.y as i32 + dy as i32, coverage);
            });
        }
        x += scaled.h_advance(id);
    }
}

/// A line of letters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub weight: Weight,
    /// Pixels of an em.
    pub em: f32,
    pub color: [u8; 3],
}

impl Style {
    pub fn width(&self, text: &str) -> usize {
        width(text, self.weight, self.em).ceil() as usize
    }

    /// Draws a line whose first letter starts at `x`, its capitals centred at `middle`.
    pub fn draw(&self, picture: &mut Picture, x: usize, middle: usize, text: &str) {
        // Capitals are 0.716 em high.
        let baseline = middle as i32 + (0.358 * self.em).round() as i32;
        pixels(text, self.weight, self.em, |dx, dy, coverage| {
            picture.blend(x as i32 + dx, baseline + dy, self.color, coverage);
        });
    }

    /// Breaks at spaces so that no line is wider than `width`, but for single words that are.
    pub fn wrap(&self, text: &str, width: usize) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(word.into()),
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_titles_need() {
        for (font, letter) in FONTS.iter().flat_map(|f| "AZaz09äéγβσεμ±×−≤≥…·√".chars().map(move |l| (f, l)))
        {
            assert_ne!(font.as_ref().unwrap().glyph_id(letter).0, 0, "{letter}");
        }
    }

    #[test]
    fn letters_are_as_large_as_asked() {
        // A zero of this family is 1139 of 2048 units wide.
        assert!((width("00", Weight::Regular, 2048.0) - 2278.0).abs() < 1.0);
        let mut top = 0;
        pixels("H", Weight::Regular, 1000.0, |_, y, coverage| {
            if coverage > 0.5 {
                top = top.min(y)
            }
        });
        assert!((680..=720).contains(&-top), "{top}");
    }

    #[test]
    fn lines_break_at_spaces() {
        let style = Style { weight: Weight::Regular, em: 10.0, color: [0; 3] };
        let lines = style.wrap("rollout k=1, own target", style.width("rollout k=1,"));
        assert_eq!(lines, ["rollout k=1,", "own target"]);
        assert_eq!(style.wrap("", 5), Vec::<String>::new());
    }
}

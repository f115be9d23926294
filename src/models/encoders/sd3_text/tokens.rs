//! The tokens of one prompt for the three encoders: begun, cut, ended and padded.
use super::T5Length;

/// Tokens of a text that CLIP takes, those that begin and end it included.
pub(super) const CLIP_LENGTH: usize = 77;
/// What CLIP-G is padded with, and T5.
const PADDING: u32 = 0;

/// The tokens of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdTokens {
    /// For CLIP-L: 77, padded with the token that ends a text.
    pub clip_l: Vec<u32>,
    /// For CLIP-G: the same, padded with 0.
    pub clip_g: Vec<u32>,
    /// For T5: at least as many as [`T5Length`] says, padded with 0.
    pub t5: Vec<u32>,
    /// Tokens of the prompt that CLIP does not see, since they are too many.
    pub cut_of_clip: usize,
    /// The same of T5.
    pub cut_of_t5: usize,
}

impl SdTokens {
    /// The tokens of a text, as a tokenizer gives them without what begins and ends it: `clip` between `begin` and `end`, and `t5`
    /// before `end_of_t5`. What is beyond the length is left out, never the token that ends.
    pub fn new(clip: &[u32], [begin, end]: [u32; 2], t5: &[u32], end_of_t5: u32, length: T5Length) -> Self {
        let kept = clip.len().min(CLIP_LENGTH - 2);
        let text: Vec<u32> = [begin].iter().chain(&clip[..kept]).chain(&[end]).copied().collect();
        let kept_of_t5 = t5.len().min(length.most.saturating_sub(1));
        let of_t5 = t5[..kept_of_t5].iter().chain(&[end_of_t5]).copied().collect();
        Self {
            clip_l: padded(text.clone(), CLIP_LENGTH, end),
            clip_g: padded(text, CLIP_LENGTH, PADDING),
            t5: padded(of_t5, length.least, PADDING),
            cut_of_clip: clip.len() - kept,
            cut_of_t5: t5.len() - kept_of_t5,
        }
    }
}

/// At least `length` tokens, the last of them `padding`.
fn padded(mut tokens: Vec<u32>, length: usize, padding: u32) -> Vec<u32> {
    tokens.resize(tokens.len().max(length), padding);
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: [u32; 2] = [49_406, 49_407];

    #[test]
    fn short_texts_are_padded() {
        let length = T5Length { least: 4, most: 6, characters: None };
        let tokens = SdTokens::new(&[5, 6], ENDS, &[8], 1, length);
        assert_eq!(tokens.clip_l[..5], [49_406, 5, 6, 49_407, 49_407]);
        assert_eq!(tokens.clip_g[..5], [49_406, 5, 6, 49_407, 0]);
        assert_eq!((tokens.clip_l.len(), tokens.clip_g.len()), (77, 77));
        assert_eq!(tokens.t5, [8, 1, 0, 0]);
        assert_eq!((tokens.cut_of_clip, tokens.cut_of_t5), (0, 0));
        assert_eq!(SdTokens::new(&[], ENDS, &[], 1, length).clip_g[..3], [49_406, 49_407, 0]);
    }

    #[test]
    fn what_ends_a_long_text_stays() {
        let long: Vec<u32> = (100..200).collect();
        let tokens = SdTokens::new(&long, ENDS, &long, 1, T5Length { least: 4, most: 6, characters: None });
        assert_eq!((tokens.clip_l.len(), tokens.clip_l[75], tokens.clip_l[76]), (77, 174, 49_407));
        assert_eq!(tokens.clip_l, tokens.clip_g);
        assert_eq!(tokens.t5, [100, 101, 102, 103, 104, 1]);
        assert_eq!((tokens.cut_of_clip, tokens.cut_of_t5), (25, 95));
        let full = SdTokens::new(&long[..75], ENDS, &long[..5], 1, T5Length { least: 4, most: 6, characters: None });
        assert_eq!((full.cut_of_clip, full.cut_of_t5, full.t5.len()), (0, 0, 6));
    }
}

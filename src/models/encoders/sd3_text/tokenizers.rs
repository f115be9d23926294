//! The tokenizers of CLIP and T5 from files on this machine.
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;

/// A whole tokenizer in one file.
const TOKENIZER: &str = "tokenizer.json";
/// The two files of older ones of CLIP.
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// What T5's is made of by training.
const PIECES: &str = "spiece.model";
/// What begins and what ends a text.
const OF_CLIP: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
const OF_T5: [&str; 1] = ["</s>"];

/// The tokenizer of CLIP: pairs of bytes, most frequent first, of lower-case words.
///
/// It cleans as transformers' fast `CLIPTokenizer` does: NFC, one space for any white space, lower case. It mends no wrongly decoded
/// text, as OpenAI's own does where `ftfy` is installed.
#[derive(Debug, Clone)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    ends: [u32; 2],
}

impl ClipTokenizer {
    /// The tokenizer in `path`: a `tokenizer.json`, or a folder with one or with `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read, [`Error::Format`] if it is none or another model's, or the folder holds neither.
    pub fn open(path: &Path) -> Result<Self> {
        let (tokenizer, file) = match found(path)? {
            Found::Whole(file) => (read(&file)?, file),
            Found::Parts(folder) => (of_parts(&folder)?, folder),
            Found::Nothing => {
                let message =
                    format!("holds neither {TOKENIZER} nor {VOCABULARY} and {MERGES}: get them beside the weights");
                return Err(Error::format(path, message));
            }
        };
        let ends = ends(&tokenizer, OF_CLIP, &file, "CLIP")?;
        Ok(Self { tokenizer, ends })
    }

    /// The tokens of a text, without those that begin and end it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        tokens(&self.tokenizer, text)
    }

    /// The tokens that begin and end a text.
    pub fn ends(&self) -> [u32; 2] {
        self.ends
    }
}

/// The tokenizer of T5: the most likely pieces of words.
#[derive(Debug, Clone)]
pub struct T5Tokenizer {
    tokenizer: Tokenizer,
    end: u32,
}

impl T5Tokenizer {
    /// The tokenizer in `path`: a `tokenizer.json`, or a folder with one.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read, [`Error::Format`] if it is none or another model's, or if the folder has only
    /// `spiece.model`, with the command that makes the one of the other.
    pub fn open(path: &Path) -> Result<Self> {
        let is_pieces = path.extension().is_some_and(|e| e == "model") || path.join(PIECES).is_file();
        let file = match found(path)? {
            Found::Whole(file) if file.extension().is_none_or(|e| e != "model") => file,
            _ if is_pieces => {
                let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
                return Err(Error::format(path, make_of_pieces(folder)));
            }
            _ => return Err(Error::format(path, format!("holds no {TOKENIZER}: get it beside the weights"))),
        };
        let tokenizer = read(&file)?;
        let [end] = ends(&tokenizer, OF_T5, &file, "T5")?;
        Ok(Self { tokenizer, end })
    }

    /// The tokens of a text, without the one that ends it.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the text.
    pub fn tokens(&self, text: &str) -> Result<Vec<u32>> {
        tokens(&self.tokenizer, text)
    }

    /// The token that ends a text.
    pub fn end(&self) -> u32 {
        self.end
    }
}

/// What a path holds.
enum Found {
    /// The file of a whole tokenizer.
    Whole(PathBuf),
    /// A folder of vocabulary and merges.
    Parts(PathBuf),
    Nothing,
}

fn found(path: &Path) -> Result<Found> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    let of_parts = |name: &str| [VOCABULARY, MERGES].contains(&name);
    if !metadata.is_dir() {
        let is_part = path.file_name().and_then(|name| name.to_str()).is_some_and(of_parts);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return Ok(if is_part { Found::Parts(folder.into()) } else { Found::Whole(path.into()) });
    }
    let has = |name: &str| path.join(name).is_file();
    Ok(match (has(TOKENIZER), has(VOCABULARY) && has(MERGES)) {
        (true, _) => Found::Whole(path.join(TOKENIZER)),
        (false, true) => Found::Parts(path.into()),
        (false, false) => Found::Nothing,
    })
}

/// A whole tokenizer, which neither cuts nor pads.
fn read(file: &Path) -> Result<Tokenizer> {
    let bytes = std::fs::read(file).map_err(|e| Error::io(file, e))?;
    made(&bytes, file)
}

fn made(bytes: &[u8], file: &Path) -> Result<Tokenizer> {
    let wrong = |e: tokenizers::Error| Error::format(file, format!("is no tokenizer ({e}): get it again"));
    let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(wrong)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(wrong)?;
    Ok(tokenizer)
}

/// The tokenizer of CLIP of a vocabulary and its merges, which every line of `merges.txt` but a first comment is one of.
fn of_parts(folder: &Path) -> Result<Tokenizer> {
    let text = |name: &str| {
        let file = folder.join(name);
        std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))
    };
    let vocabulary: Value = serde_json::from_str(&text(VOCABULARY)?)
        .map_err(|e| Error::format(folder.join(VOCABULARY), format!("is no vocabulary ({e}): get it again")))?;
    let merges = text(MERGES)?;
    let merges: Vec<&str> =
        merges.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("#version")).collect();
    let special = OF_CLIP.map(|content| {
        json!({
            "id": vocabulary[content], "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        })
    });
    if let Some(lacking) = OF_CLIP.iter().find(|content| !vocabulary[**content].is_u64()) {
        let message = format!("has no token `{lacking}`: it is not the vocabulary of CLIP");
        return Err(Error::format(folder.join(VOCABULARY), message));
    }
    let words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    let whole = json!({
        "version": "1.0",
        "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"}
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}
        ]},
        "model": {
            "type": "BPE", "unk_token": OF_CLIP[1], "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
            "fuse_unk": false, "vocab": vocabulary, "merges": merges
        }
    });
    made(whole.to_string().as_bytes(), folder)
}

/// The numbers of tokens that a tokenizer of `model` has.
fn ends<const N: usize>(tokenizer: &Tokenizer, contents: [&str; N], file: &Path, model: &str) -> Result<[u32; N]> {
    let mut found = [0; N];
    for (number, content) in found.iter_mut().zip(contents) {
        let lacking = || Error::format(file, format!("has no token `{content}`: it is not the tokenizer of {model}"));
        *number = tokenizer.token_to_id(content).ok_or_else(lacking)?;
    }
    Ok(found)
}

fn tokens(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>> {
    let wrong = |e: tokenizers::Error| Error::Invalid(format!("the text {text:?} has no tokens: {e}"));
    Ok(tokenizer.encode(text, false).map_err(wrong)?.get_ids().to_vec())
}

/// What to do with the file that training leaves.
fn make_of_pieces(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "has {PIECES} but no {TOKENIZER}: get that too, or make it once with `pip install transformers sentencepiece protobuf` and \
         `python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('{folder}').save_pretrained('{folder}')\"`"
    )
}

//! The bytes of a pickle, read from front to back. Texts stay where they are: only their place is remembered.

/// Where some bytes of a pickle are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The bytes themselves.
    pub(super) fn of(self, pickle: &[u8]) -> &[u8] {
        pickle.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Without its first and its last byte; as it is if it is shorter than two.
    pub(super) fn within(self) -> Self {
        if self.end - self.start < 2 { self } else { Self { start: self.start + 1, end: self.end - 1 } }
    }
}

/// A pickle and the place that is read next.
#[derive(Debug)]
pub(super) struct Bytes<'a> {
    pickle: &'a [u8],
    at: usize,
}

const ENDS: &str = "it ends in the middle";

impl<'a> Bytes<'a> {
    /// The beginning of `pickle`, which is shorter than 4 GiB.
    pub(super) fn new(pickle: &'a [u8]) -> Self {
        Self { pickle, at: 0 }
    }

    pub(super) fn pickle(&self) -> &'a [u8] {
        self.pickle
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let found = self.pickle.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(ENDS)?;
        self.at += N;
        Ok(*found)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next `length` bytes.
    pub(super) fn span(&mut self, length: u64) -> Result<Span, String> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let end = end.filter(|end| *end <= self.pickle.len()).ok_or(ENDS)?;
        let place = |at: usize| u32::try_from(at).map_err(|_| "it is longer than 4 GiB".to_string());
        let span = Span { start: place(self.at)?, end: place(end)? };
        self.at = end;
        Ok(span)
    }

    /// The bytes up to the end of the line, which is read too.
    pub(super) fn line(&mut self) -> Result<Span, String> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or(ENDS)?;
        let span = self.span(length as u64)?;
        self.at += 1;
        let ends_in_return = length > 0 && rest[length - 1] == b'\r';
        Ok(if ends_in_return { Span { end: span.end - 1, ..span } } else { span })
    }

    /// The same as text.
    pub(super) fn words(&mut self) -> Result<&'a str, String> {
        std::str::from_utf8(self.line()?.of(self.pickle)).map_err(|_| "a line of it is no text".into())
    }
}

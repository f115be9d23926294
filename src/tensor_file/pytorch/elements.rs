//! The types of numbers, by the names that PyTorch has for them.
use burn::tensor::{BoolStore, DType};

/// A type of numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element {
    /// As people are told.
    pub(super) name: String,
    /// As it is read; none if nobody reads it.
    pub(super) dtype: Option<DType>,
}

/// Names of storages without `Storage`, of types, and what both are.
const KNOWN: [(&str, &str, Option<DType>); 18] = [
    ("Double", "float64", Some(DType::F64)),
    ("Float", "float32", Some(DType::F32)),
    ("Half", "float16", Some(DType::F16)),
    ("BFloat16", "bfloat16", Some(DType::BF16)),
    ("Long", "int64", Some(DType::I64)),
    ("Int", "int32", Some(DType::I32)),
    ("Short", "int16", Some(DType::I16)),
    ("Char", "int8", Some(DType::I8)),
    ("Byte", "uint8", Some(DType::U8)),
    // These three have no storages of their own.
    ("UInt64", "uint64", Some(DType::U64)),
    ("UInt32", "uint32", Some(DType::U32)),
    ("UInt16", "uint16", Some(DType::U16)),
    ("Bool", "bool", Some(DType::Bool(BoolStore::Native))),
    ("ComplexFloat", "complex64", None),
    ("ComplexDouble", "complex128", None),
    ("QInt8", "qint8", None),
    ("QUInt8", "quint8", None),
    ("QInt32", "qint32", None),
];

impl Element {
    /// The type of the numbers of a storage, by its class: `FloatStorage`.
    pub(super) fn of_storage(class: &str) -> Self {
        let short = class.strip_suffix("Storage").unwrap_or(class);
        let found = KNOWN.iter().find(|(storage, ..)| *storage == short);
        found.map_or_else(|| Self::unread(short), |(_, name, dtype)| Self::known(name, *dtype))
    }

    /// A type by its name: `float32` of `torch.float32`.
    pub(super) fn of_type(name: &str) -> Self {
        let found = KNOWN.iter().find(|(_, known, _)| *known == name);
        found.map_or_else(|| Self::unread(name), |(_, name, dtype)| Self::known(name, *dtype))
    }

    /// A type that nobody reads.
    pub(super) fn unread(name: &str) -> Self {
        Self { name: name.into(), dtype: None }
    }

    fn known(name: &str, dtype: Option<DType>) -> Self {
        let name = match dtype {
            None => name.into(),
            Some(DType::Bool(_)) => "Bool".into(),
            Some(dtype) => format!("{dtype:?}"),
        };
        Self { name, dtype }
    }
}

//! The typed name of a table, and how its values become bytes.
//!
//! A table is a constant beside the service that owns it. Its key and value types exist at compile time only; in the
//! file a table is a name with byte keys and byte values, so records may grow fields with serde's defaults.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Cause;
use crate::key::Key;

/// Longest name of a table in bytes.
pub const TABLE_NAME_BYTES_MAX: usize = 64;

/// How the values of a table become bytes and come back.
pub trait Codec {
    /// What callers put and get.
    type Item;

    /// The value's bytes.
    ///
    /// # Errors
    /// What serde says.
    fn encode(item: &Self::Item) -> Result<Vec<u8>, Cause>;

    /// The value that the bytes are.
    ///
    /// # Errors
    /// What serde says.
    fn decode(bytes: &[u8]) -> Result<Self::Item, Cause>;
}

/// Values of type `T` as JSON (RFC 8259): readable in a snapshot without this code.
pub struct Json<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> Codec for Json<T> {
    type Item = T;

    fn encode(item: &T) -> Result<Vec<u8>, Cause> {
        serde_json::to_vec(item).map_err(|error| Arc::new(error) as Cause)
    }

    fn decode(bytes: &[u8]) -> Result<T, Cause> {
        serde_json::from_slice(bytes).map_err(|error| Arc::new(error) as Cause)
    }
}

impl Codec for Vec<u8> {
    type Item = Self;

    fn encode(item: &Self) -> Result<Vec<u8>, Cause> {
        Ok(item.clone())
    }

    fn decode(bytes: &[u8]) -> Result<Self, Cause> {
        Ok(bytes.to_vec())
    }
}

/// One table: `const ROWS: Table<u64, Json<Row>> = Table::new("rows");`
pub struct Table<K, V> {
    name: &'static str,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Codec> Table<K, V> {
    /// Names a table. A leading `_` is the store's own; a constant with one does not compile.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(!name.is_empty() && name.as_bytes()[0] != b'_', "table names are not empty and do not begin with `_`");
        assert!(name.len() <= TABLE_NAME_BYTES_MAX, "table names have at most 64 bytes");
        Self { name, types: PhantomData }
    }

    /// The store's own tables.
    pub(crate) const fn internal(name: &'static str) -> Self {
        Self { name, types: PhantomData }
    }

    /// The table's name in the file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

//! Keys as bytes whose order is the keys' order.
//!
//! Owns the encoding of keys in every table and in snapshots: integers big-endian, byte arrays as they are, text with
//! each zero byte followed by 0xFF and two zero bytes at the end, tuples as their parts in sequence. Promises that `a <
//! b` exactly if the bytes of `a` sort before those of `b`, that no key's bytes begin another's of the same type, and
//! that decoding takes nothing but what encoding gives. Must never change: files and snapshots hold these bytes.

use std::borrow::Borrow;

/// A key of a table.
///
/// `Ref` is what look-ups take: `str` for `String`, the type itself for all others.
pub trait Key: Sized + Borrow<Self::Ref> {
    /// The borrowed form.
    type Ref: ?Sized;

    /// Appends the key's bytes.
    fn encode(key: &Self::Ref, out: &mut Vec<u8>);

    /// Takes one key off the front of `bytes`, or gives `None` where there is none of this type.
    fn take(bytes: &mut &[u8]) -> Option<Self>;
}

/// The bytes of one key.
pub(crate) fn encoded<K: Key>(key: &K::Ref) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    K::encode(key, &mut out);
    out
}

/// The key that `bytes` are, all of them.
pub(crate) fn decoded<K: Key>(mut bytes: &[u8]) -> Option<K> {
    K::take(&mut bytes).filter(|_| bytes.is_empty())
}

macro_rules! integer_key {
    ($($integer:ty),*) => {$(
        impl Key for $integer {
            type Ref = Self;

            fn encode(key: &Self, out: &mut Vec<u8>) {
                out.extend_from_slice(&key.to_be_bytes());
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                bytes.split_off(..size_of::<Self>())?.try_into().ok().map(Self::from_be_bytes)
            }
        }
    )*};
}
integer_key!(u8, u16, u32, u64);

impl<const N: usize> Key for [u8; N] {
    type Ref = Self;

    fn encode(key: &Self, out: &mut Vec<u8>) {
        out.extend_from_slice(key);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        bytes.split_off(..N)?.try_into().ok()
    }
}

/// Follows a zero byte that belongs to a text.
const ESCAPE: u8 = 0xFF;

/// Follows the zero byte that ends a text; sorts before [`ESCAPE`], so that a text sorts before its continuations.
const END: u8 = 0;

impl Key for String {
    type Ref = str;

    fn encode(key: &str, out: &mut Vec<u8>) {
        for &byte in key.as_bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(ESCAPE);
            }
        }
        out.extend_from_slice(&[0, END]);
    }

    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            match *bytes.split_off_first()? {
                0 => match *bytes.split_off_first()? {
                    END => return String::from_utf8(text).ok(),
                    ESCAPE => text.push(0),
                    _ => return None,
                },
                byte => text.push(byte),
            }
        }
    }
}

macro_rules! tuple_key {
    ($($part:ident $index:tt),*) => {
        impl<$($part: Key),*> Key for ($($part,)*) {
            type Ref = Self;

            fn encode(key: &Self, out: &mut Vec<u8>) {
                $($part::encode(key.$index.borrow(), out);)*
            }

            fn take(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($part::take(bytes)?,)*))
            }
        }
    };
}
tuple_key!(A 0, B 1);
tuple_key!(A 0, B 1, C 2);

#[cfg(test)]
mod tests;

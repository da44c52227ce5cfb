//! The tree of tags of a DM3 or DM4 file.
//!
//! All of such a file is one tree. A tag is a group of tags, a number, a structure of numbers or an array of either;
//! names and sizes are big endian, values in the order that the header states. Sizes are 32 bits wide in DM3, 64
//! in DM4, where each tag also says how long it is.

use serde_json::{Map, Value};

use super::super::fields::Fields;
use super::super::{ByteOrder, Input};
use crate::{FormatError, Problem};

/// Groups within groups; files of DigitalMicrograph have about ten levels.
const DEEPEST: usize = 64;
/// Tags of a file, and elements of short arrays that are kept as numbers: what a file may take in memory.
const MOST_TAGS: u32 = 2_000_000;
const MOST_ELEMENTS: u64 = 4_000_000;
/// Of longer arrays only the length is shown.
const LONGEST_SHOWN: u64 = 2048;

/// A value in the tree.
#[derive(Debug, Clone)]
pub(super) enum Tag {
    Group(Vec<(String, Tag)>),
    /// A number, a text or a structure.
    Value(Value),
    /// An array, which stays in the file, and what is shown of it: a text, the numbers of a short one, or its length.
    Array {
        element: Kind,
        count: u64,
        offset: u64,
        shown: Value,
    },
}

/// Type of an element of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    I16,
    I32,
    U16,
    U32,
    F32,
    F64,
    Bool,
    Char,
    Octet,
    I64,
    U64,
    /// A structure of so many bytes.
    Struct(u64),
}

impl Kind {
    fn of_code(code: u64) -> Option<Kind> {
        Some(match code {
            2 => Kind::I16,
            3 => Kind::I32,
            4 => Kind::U16,
            5 => Kind::U32,
            6 => Kind::F32,
            7 => Kind::F64,
            8 => Kind::Bool,
            9 => Kind::Char,
            10 => Kind::Octet,
            11 => Kind::I64,
            12 => Kind::U64,
            _ => return None,
        })
    }

    pub(super) fn bytes(self) -> u64 {
        match self {
            Kind::Bool | Kind::Char | Kind::Octet => 1,
            Kind::I16 | Kind::U16 => 2,
            Kind::I32 | Kind::U32 | Kind::F32 => 4,
            Kind::F64 | Kind::I64 | Kind::U64 => 8,
            Kind::Struct(bytes) => bytes,
        }
    }
}

impl Tag {
    /// The tag at the end of a path.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Tag> {
        path.iter().try_fold(self, |tag, name| match tag {
            Tag::Group(tags) => tags.iter().find(|(found, _)| found == name).map(|(_, tag)| tag),
            _ => None,
        })
    }

    /// The members of a group at the end of a path; none if there is no such group.
    pub(super) fn members(&self, path: &[&str]) -> impl Iterator<Item = &Tag> {
        let members = match self.at(path) {
            Some(Tag::Group(tags)) => tags.as_slice(),
            _ => &[],
        };
        members.iter().map(|(_, tag)| tag)
    }

    pub(super) fn number(&self, path: &[&str]) -> Option<f64> {
        match self.at(path)? {
            Tag::Value(value) => value.as_f64().filter(|number| number.is_finite()),
            _ => None,
        }
    }

    pub(super) fn whole(&self, path: &[&str]) -> Option<u64> {
        match self.at(path)? {
            Tag::Value(value) => value.as_u64(),
            _ => None,
        }
    }

    pub(super) fn text(&self, path: &[&str]) -> Option<&str> {
        match self.at(path)? {
            Tag::Value(Value::String(text)) | Tag::Array { element: Kind::U16, shown: Value::String(text), .. } => {
                Some(text.trim())
            }
            _ => None,
        }
    }

    /// The tree as JSON; tags without a name are numbered, arrays that stay in the file say what they are.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Tag::Group(tags) if !tags.is_empty() && tags.iter().all(|(name, _)| name.is_empty()) => {
                Value::Array(tags.iter().map(|(_, tag)| tag.to_json()).collect())
            }
            Tag::Group(tags) => {
                let mut map = Map::new();
                for (place, (name, tag)) in tags.iter().enumerate() {
                    let name = if name.is_empty() { format!("[{place}]") } else { name.clone() };
                    map.insert(name, tag.to_json());
                }
                Value::Object(map)
            }
            Tag::Value(value) | Tag::Array { shown: value, .. } => value.clone(),
        }
    }
}

/// Reads all tags of a file.
pub(super) struct TagReader<'a> {
    input: &'a Input,
    fields: Fields<'a>,
    wide: bool,
    order: ByteOrder,
    tags: u32,
    elements: u64,
}

impl<'a> TagReader<'a> {
    pub(super) fn read(input: &'a Input) -> Result<(Tag, ByteOrder), FormatError> {
        let mut fields = Fields::new(input, ByteOrder::Big);
        let wide = fields.u32()? == 4;
        // The length of the file, which truncated and appended files state wrongly, is not used.
        fields.skip(if wide { 8 } else { 4 })?;
        let order = if fields.u32()? == 0 { ByteOrder::Big } else { ByteOrder::Little };
        let mut reader = TagReader { input, fields, wide, order, tags: 0, elements: 0 };
        let root = reader.group(0)?;
        Ok((root, order))
    }

    fn size(&mut self) -> Result<u64, FormatError> {
        if self.wide { self.fields.u64() } else { self.fields.u32().map(u64::from) }
    }

    fn group(&mut self, depth: usize) -> Result<Tag, FormatError> {
        if depth > DEEPEST {
            return Err(self.too_many("groups of tags inside one another", depth as u128, DEEPEST as u128));
        }
        // Whether the group is sorted and whether it was unfolded.
        self.fields.skip(2)?;
        let count = self.size()?;
        let mut tags = Vec::new();
        for _ in 0..count {
            self.tags += 1;
            if self.tags > MOST_TAGS {
                return Err(self.too_many("tags", u128::from(self.tags), u128::from(MOST_TAGS)));
            }
            let start = self.fields.position();
            let kind = self.fields.u8()?;
            let name_length = self.fields.u16()?;
            let name = self.fields.text(u64::from(name_length))?;
            if self.wide {
                self.fields.skip(8)?;
            }
            let tag = match kind {
                20 => self.group(depth + 1)?,
                21 => self.data()?,
                _ => {
                    return Err(self.input.malformed(Problem::Invalid {
                        what: "the kind of a tag",
                        found: format!("{kind} at byte {start}"),
                        expected: "20 (group) or 21 (data); the file is damaged, copy it again",
                    }));
                }
            };
            tags.push((name, tag));
        }
        Ok(Tag::Group(tags))
    }

    fn data(&mut self) -> Result<Tag, FormatError> {
        let start = self.fields.position();
        let delimiter = self.fields.bytes(4)?;
        let count = self.size()?;
        let damaged = |reader: &Self, found: String| {
            reader.input.malformed(Problem::Invalid {
                what: "the description of a tag",
                found: format!("{found} at byte {start}"),
                expected: "the type of a number, a structure, a text or an array; the file is damaged, copy it again",
            })
        };
        if delimiter != b"%%%%" {
            return Err(damaged(self, format!("{delimiter:?}")));
        }
        // The description of a structure of 500 numbers takes 1000 words.
        if count == 0 || count > 4096 {
            return Err(damaged(self, format!("a description of {count} words")));
        }
        let description = (0..count).map(|_| self.size()).collect::<Result<Vec<u64>, _>>()?;
        let tag = match *description.as_slice() {
            [0x0f, ref fields @ ..] => {
                let kinds = struct_fields(fields).ok_or_else(|| damaged(self, "a structure".to_owned()))?;
                let values = kinds.into_iter().map(|kind| self.value(kind)).collect::<Result<_, _>>()?;
                Tag::Value(Value::Array(values))
            }
            [0x12, length] => {
                let bytes = length.checked_mul(2).ok_or_else(|| damaged(self, format!("a text of {length}")))?;
                let bytes = self.fields.bytes(bytes)?;
                Tag::Value(Value::String(self.utf16(&bytes)))
            }
            [0x14, 0x0f, ref fields @ .., length] => {
                let kinds = struct_fields(fields).ok_or_else(|| damaged(self, "an array of structures".to_owned()))?;
                self.array(Kind::Struct(kinds.iter().map(|kind| kind.bytes()).sum()), length)?
            }
            [0x14, element, length] => {
                let kind =
                    Kind::of_code(element).ok_or_else(|| damaged(self, format!("an array of type {element}")))?;
                self.array(kind, length)?
            }
            [code] => {
                let kind = Kind::of_code(code).ok_or_else(|| damaged(self, format!("type {code}")))?;
                Tag::Value(self.value(kind)?)
            }
            _ => return Err(damaged(self, format!("type {} with {count} words", description[0]))),
        };
        Ok(tag)
    }

    fn array(&mut self, element: Kind, count: u64) -> Result<Tag, FormatError> {
        let offset = self.fields.position();
        let bytes = count.saturating_mul(element.bytes());
        let short = count <= LONGEST_SHOWN && !matches!(element, Kind::Struct(_));
        let shown = if !short || self.elements + count > MOST_ELEMENTS {
            self.fields.skip(bytes)?;
            Value::String(format!("[{count} elements, {element:?}, from byte {offset} on]"))
        } else {
            self.elements += count;
            if element == Kind::U16 {
                // Texts are arrays of 16-bit numbers, and so are some pixels.
                let bytes = self.fields.bytes(bytes)?;
                Value::String(self.utf16(&bytes))
            } else {
                (0..count).map(|_| self.value(element)).collect::<Result<_, _>>().map(Value::Array)?
            }
        };
        Ok(Tag::Array { element, count, offset, shown })
    }

    /// A number; not a number and infinity, which JSON has not, become null.
    fn value(&mut self, kind: Kind) -> Result<Value, FormatError> {
        let fields = &mut self.fields;
        fields.order = self.order;
        let value = match kind {
            Kind::I16 => fields.i16().map(Value::from),
            Kind::I32 => fields.i32().map(Value::from),
            Kind::U16 => fields.u16().map(Value::from),
            Kind::U32 => fields.u32().map(Value::from),
            Kind::F32 => fields.f32().map(f64::from).map(Value::from),
            Kind::F64 => fields.f64().map(Value::from),
            Kind::Bool => fields.u8().map(|value| Value::from(value != 0)),
            Kind::Char => fields.i8().map(Value::from),
            Kind::Octet => fields.u8().map(Value::from),
            Kind::I64 => fields.i64().map(Value::from),
            Kind::U64 => fields.u64().map(Value::from),
            Kind::Struct(bytes) => fields.skip(bytes).map(|()| Value::Null),
        };
        fields.order = ByteOrder::Big;
        value
    }

    fn utf16(&self, bytes: &[u8]) -> String {
        let units = bytes.as_chunks::<2>().0.iter().map(|pair| match self.order {
            ByteOrder::Little => u16::from_le_bytes(*pair),
            ByteOrder::Big => u16::from_be_bytes(*pair),
        });
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }

    fn too_many(&self, what: &'static str, found: u128, limit: u128) -> FormatError {
        self.input.malformed(Problem::TooMany { what, found, limit })
    }
}

/// The types of a structure's members: the length of its name, their number, and for each the length of its name
/// (names are never there) and its type.
fn struct_fields(words: &[u64]) -> Option<Vec<Kind>> {
    let (&[_, count], members) = words.split_first_chunk::<2>()?;
    if members.len() as u64 != count.checked_mul(2)? {
        return None;
    }
    members.chunks_exact(2).map(|member| Kind::of_code(member[1]).filter(|_| member[0] == 0)).collect()
}

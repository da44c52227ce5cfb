//! The words of a CIF, and the blocks they form.

use std::collections::BTreeMap;

use crate::error::shown;
use crate::{ParseError, Problem};

/// A value and the line that it began on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    /// `?` and `.`, unless in quotes: not known, not applicable.
    pub(super) absent: bool,
}

/// A table: one column a tag, one row an entry.
#[derive(Debug, Default)]
pub(super) struct Table<'a> {
    pub(super) tags: Vec<String>,
    /// Row after row.
    pub(super) values: Vec<Value<'a>>,
    pub(super) line: usize,
}

impl<'a> Table<'a> {
    pub(super) fn column(&self, tag: &str) -> Option<usize> {
        self.tags.iter().position(|t| t == tag)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &[Value<'a>]> {
        self.values.chunks_exact(self.tags.len())
    }
}

/// A data block. Tags are lower case and have `_` for the dots of newer dictionaries.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    pub(super) items: BTreeMap<String, Value<'a>>,
    pub(super) tables: Vec<Table<'a>>,
}

impl<'a> Block<'a> {
    /// The table with a tag, also if the file gives its only row as items without a loop.
    pub(super) fn table(&self, tag: &str) -> Option<&Table<'a>> {
        self.tables.iter().find(|table| table.column(tag).is_some())
    }
}

enum Token<'a> {
    Data,
    Loop,
    Tag(&'a str),
    Value(Value<'a>),
}

/// Splits a file into its data blocks.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, ParseError> {
    let mut blocks = Vec::new();
    let mut block = Block::default();
    let mut tag: Option<String> = None;
    // The table being read, and whether its heading is complete.
    let mut table: Option<(Table<'_>, bool)> = None;
    // Line of the last value outside of a loop.
    let mut last_line = 0;
    let mut lexer = Lexer { text, place: 0, line: 1, at_line_start: true };
    while let Some((line, token)) = lexer.next_token()? {
        match token {
            Token::Data => {
                close(&mut block, table.take())?;
                tag = None;
                blocks.push(std::mem::take(&mut block));
            }
            Token::Loop => {
                close(&mut block, table.take())?;
                tag = None;
                table = Some((Table { line, ..Table::default() }, false));
            }
            Token::Tag(name) => {
                let name = name.to_ascii_lowercase().replace('.', "_");
                match &mut table {
                    Some((open, false)) => open.tags.push(name),
                    _ => {
                        close(&mut block, table.take())?;
                        tag = Some(name);
                    }
                }
            }
            Token::Value(value) => match (&mut table, tag.take()) {
                (Some((open, complete)), _) if !open.tags.is_empty() => {
                    *complete = true;
                    open.values.push(value);
                }
                (_, Some(tag)) => {
                    last_line = line;
                    block.items.entry(tag).or_insert(value);
                }
                // Text that should have been in quotes, such as the names of phases.
                _ if line == last_line => {}
                _ => {
                    return Err(Problem::Invalid {
                        what: "a word",
                        found: shown(value.text),
                        expected: "a tag that begins with _ before every value",
                    }
                    .at(line));
                }
            },
        }
    }
    close(&mut block, table)?;
    blocks.push(block);
    Ok(blocks)
}

fn close<'a>(block: &mut Block<'a>, table: Option<(Table<'a>, bool)>) -> Result<(), ParseError> {
    let Some((table, _)) = table else { return Ok(()) };
    if table.tags.is_empty() || table.values.is_empty() {
        return Ok(());
    }
    let columns = table.tags.len();
    let extra = table.values.len() % columns;
    if extra != 0 {
        let last = table.values.last().map_or(table.line, |value| value.line);
        return Err(Problem::TooFewColumns {
            expected: columns,
            what: format!("the loop of line {}", table.line),
            found: extra,
        }
        .at(last));
    }
    block.tables.push(table);
    Ok(())
}

struct Lexer<'a> {
    text: &'a str,
    place: usize,
    line: usize,
    at_line_start: bool,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Result<Option<(usize, Token<'a>)>, ParseError> {
        loop {
            let rest = &self.text[self.place..];
            let Some(first) = rest.chars().next() else { return Ok(None) };
            let line = self.line;
            match first {
                '\n' => {
                    self.place += 1;
                    self.line += 1;
                    self.at_line_start = true;
                }
                c if c.is_whitespace() => {
                    self.place += c.len_utf8();
                    self.at_line_start = false;
                }
                '#' => self.place += rest.find('\n').unwrap_or(rest.len()),
                ';' if self.at_line_start => return self.text_field().map(|value| Some((line, Token::Value(value)))),
                '\'' | '"' => return self.quoted(first).map(|value| Some((line, Token::Value(value)))),
                _ => {
                    let word = &rest[..rest.find(char::is_whitespace).unwrap_or(rest.len())];
                    self.place += word.len();
                    self.at_line_start = false;
                    let begins =
                        |prefix: &str| word.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
                    let token = if word.starts_with('_') {
                        Token::Tag(word)
                    } else if begins("data_") || word.eq_ignore_ascii_case("global_") {
                        Token::Data
                    } else if word.eq_ignore_ascii_case("loop_") {
                        Token::Loop
                    } else if begins("save_") || word.eq_ignore_ascii_case("stop_") {
                        // Frames of dictionaries; what is in them is read as if they were not there.
                        continue;
                    } else {
                        Token::Value(Value { text: word, line, absent: word == "?" || word == "." })
                    };
                    return Ok(Some((line, token)));
                }
            }
        }
    }

    /// A text that begins with `;` at the start of a line and ends with a line that begins so.
    fn text_field(&mut self) -> Result<Value<'a>, ParseError> {
        let start = self.place + 1;
        let begun = self.line;
        let Some(length) = self.text[start..].find("\n;") else {
            return Err(Problem::Missing {
                what: "the ; that ends this text".to_owned(),
                advice: "the file is cut short; copy it again",
            }
            .at(begun));
        };
        let text = &self.text[start..start + length];
        self.place = start + length + 2;
        self.line += text.matches('\n').count() + 1;
        self.at_line_start = false;
        Ok(Value { text: text.trim(), line: begun, absent: false })
    }

    /// A value in quotes, which end before a blank or the end of the line: `'a dog's life'`.
    fn quoted(&mut self, quote: char) -> Result<Value<'a>, ParseError> {
        let start = self.place + 1;
        let rest = &self.text[start..];
        let rest = &rest[..rest.find('\n').unwrap_or(rest.len())];
        let closing = rest
            .match_indices(quote)
            .map(|(index, _)| index)
            .find(|index| rest[index + 1..].chars().next().is_none_or(char::is_whitespace));
        let Some(length) = closing else {
            return Err(Problem::Missing {
                what: format!("the closing {quote}"),
                advice: "a quoted value ends on its line, before a blank",
            }
            .at(self.line));
        };
        self.place = start + length + 1;
        self.at_line_start = false;
        Ok(Value { text: &rest[..length], line: self.line, absent: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_every_kind() {
        let text = "# comment\r\ndata_A\n_Cell.Length_a 3.9(2) # more\n_name 'a dog's life'\n_text\n;one\n two ; three\n;\n\
                    _odd ?\nloop_\n_x\n_y\n1 \"2 3\"\n. '.'\n#end\n_after 4 data_b _z 5 without quotes\n";
        let blocks = blocks(text).unwrap();
        assert_eq!(blocks.len(), 3);
        assert_eq!(blocks[2].items["_z"].text, "5");
        let block = &blocks[1];
        assert_eq!(block.items["_cell_length_a"].text, "3.9(2)");
        assert_eq!(block.items["_name"].text, "a dog's life");
        assert_eq!(block.items["_text"].text, "one\n two ; three");
        assert!(block.items["_odd"].absent);
        assert_eq!(block.items["_after"].line, 16);
        let table = block.table("_y").unwrap();
        let words: Vec<(&str, bool)> = table.values.iter().map(|value| (value.text, value.absent)).collect();
        assert_eq!(words, [("1", false), ("2 3", false), (".", true), (".", false)]);
    }

    #[test]
    fn what_is_cut_short_is_said() {
        for (text, message) in [
            ("data_a\n_x\n;never ends\n", "line 3: the ; that ends"),
            ("data_a\n_x 'open\n", "line 2: the closing '"),
            ("data_a\nloop_\n_x\n_y\n1 2\n3\n", "line 6: expected 2 columns (the loop of line 2), found 1"),
            ("hello world", "line 1: a word is \"hello\""),
        ] {
            assert!(blocks(text).unwrap_err().to_string().contains(message), "{text}");
        }
    }
}

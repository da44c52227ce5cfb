//! The simple XML in which microscopes write metadata, as JSON.
//!
//! Elements become objects, repeated elements lists, and text strings; attributes, comments and processing instructions
//! are left out. What is not well formed ends the tree early instead of being an error: it is metadata.

use serde_json::{Map, Value};

/// Elements inside one another, and elements in all.
const DEEPEST: usize = 64;
const MOST_ELEMENTS: usize = 200_000;

/// The tree of a document; an empty object if there is none.
pub(crate) fn parse_xml(text: &str) -> Value {
    let mut open: Vec<(&str, Map<String, Value>, String)> = vec![("", Map::new(), String::new())];
    let mut rest = text;
    let mut elements = 0;
    while let Some(start) = rest.find('<') {
        if let Some((_, _, words)) = open.last_mut() {
            words.push_str(&rest[..start]);
        }
        rest = &rest[start + 1..];
        let Some(end) = rest.find('>') else { break };
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            if open.len() > 1 && open.last().is_some_and(|(opened, ..)| *opened == name.trim()) {
                close(&mut open);
            }
            continue;
        }
        elements += 1;
        if open.len() > DEEPEST || elements > MOST_ELEMENTS {
            break;
        }
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        open.push((name, Map::new(), String::new()));
        if tag.ends_with('/') {
            close(&mut open);
        }
    }
    while open.len() > 1 {
        close(&mut open);
    }
    Value::Object(open.pop().map(|(_, map, _)| map).unwrap_or_default())
}

/// Puts the innermost element into the one around it.
fn close(open: &mut Vec<(&str, Map<String, Value>, String)>) {
    let (Some((name, map, words)), Some((_, parent, _))) = (open.pop(), open.last_mut()) else { return };
    let value = if map.is_empty() { Value::String(unescape(words.trim())) } else { Value::Object(map) };
    match parent.get_mut(name) {
        None => {
            parent.insert(name.to_owned(), value);
        }
        Some(Value::Array(list)) => list.push(value),
        Some(first) => {
            let list = vec![first.take(), value];
            *first = Value::Array(list);
        }
    }
}

fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_text_and_lists() {
        let text = "<?xml version='1.0'?><a kind=\"x\"><b>1 &lt; 2</b><c/><b> two </b><d><e>3</e></d></a>";
        assert_eq!(parse_xml(text), json!({"a": {"b": ["1 < 2", "two"], "c": "", "d": {"e": "3"}}}));
    }

    #[test]
    fn what_is_not_well_formed_gives_what_there_is() {
        assert_eq!(parse_xml("<a><b>1</b><c>2</x>"), json!({"a": {"b": "1", "c": "2"}}));
        assert_eq!(parse_xml("no markup"), json!({}));
        assert!(parse_xml(&"<a>".repeat(100_000)).is_object());
        assert!(parse_xml(&"</a>".repeat(1000)).is_object());
    }
}

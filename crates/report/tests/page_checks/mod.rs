//! What every page has to keep: it stands by itself, and what it was given as text stays text.

/// A name that would do harm if it were not written as text.
pub(crate) const HOSTILE: &str = "</script><img onerror=\"x\" src='y'> & {{ name }} \u{1}.tif";

/// Every value of an attribute in a page, quoted as the templates quote.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let opening = format!(" {name}=\"");
    page.split(&opening).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// A page asks for nothing from elsewhere.
pub(crate) fn assert_self_contained(page: &str) {
    assert!(!page.contains("http://") && !page.contains("https://"), "an address");
    for name in ["src", "href", "xlink:href", "action", "data", "poster"] {
        for value in attributes(page, name) {
            assert!(
                value.starts_with("data:") || value.starts_with('#'),
                "{name}=\"{}\"",
                &value[..value.len().min(80)]
            );
        }
    }
    for opening in ["url(", "@import", "<link", "<iframe", "<object", "fetch(", "XMLHttpRequest"] {
        assert!(!page.contains(opening), "{opening}");
    }
    assert!(page.contains("default-src 'none'"));
}

/// Elements open and close in order, as far as a page of ours goes: no element that may stay open, beside the void ones.
pub(crate) fn assert_well_nested(page: &str) {
    const VOID: [&str; 4] = ["meta", "img", "input", "br"];
    let mut open: Vec<String> = Vec::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        if rest.starts_with("<!DOCTYPE") {
            rest = &rest[2..];
            continue;
        }
        let end = rest.find('>').expect("a tag ends");
        let tag = &rest[1..end];
        let name: String = tag.trim_start_matches('/').chars().take_while(|c| c.is_ascii_alphanumeric()).collect();
        assert!(!name.is_empty(), "a stray < before {:?}", &rest[..rest.len().min(60)]);
        if tag.starts_with('/') {
            assert_eq!(open.pop().as_deref(), Some(name.as_str()), "closing tag");
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        rest = &rest[end + 1..];
        // What is inside of these is not markup.
        if (name == "script" || name == "style") && !tag.starts_with('/') {
            rest = &rest[rest.find(&format!("</{name}>")).expect("it ends")..];
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
}

/// What the scripts of a page's viewers read.
pub(crate) fn data_of(page: &str) -> Vec<serde_json::Value> {
    page.split("data-role=\"data\">")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("</script>").next().unwrap()).unwrap())
        .collect()
}

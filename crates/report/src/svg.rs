//! Drawings as SVG 1.1, for browsers and for editors such as Inkscape: text stays text, circles stay circles, and a
//! micrograph is embedded with its own pixels.
//!
//! Letters are set in DejaVu Sans where it is installed and in Verdana, which is of the same width, or a narrower face
//! elsewhere, so that what fits here fits there.

use std::fmt::{self, Write as _};

use crate::canvas::{Horizontal, Point, Rectangle, Vertical};
use crate::colour::Colour;
use crate::drawing::{Drawing, Layer, Shape, dash_px};
use crate::{base64, text};

const FONT: &str = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// Size of the em over the height of a line in DejaVu Sans: 2048 and 1901 + 483 units.
const EM: f32 = 2048.0 / 2384.0;

/// An SVG file.
pub(crate) fn document(drawing: &Drawing, title: &str) -> String {
    let namespaces = "xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" \
                      xmlns:inkscape=\"http://www.inkscape.org/namespaces/inkscape\"";
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = write_element(&mut out, drawing, title, Some(namespaces));
    out.push('\n');
    out
}

/// An element of an HTML page, which scales with the page.
pub(crate) fn element(drawing: &Drawing, title: &str) -> String {
    let mut out = String::new();
    let _ = write_element(&mut out, drawing, title, None);
    out
}

/// Text between tags or in an attribute of XML and HTML; letters that XML does not allow are replaced.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(letter),
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn write_element(out: &mut String, drawing: &Drawing, title: &str, namespaces: Option<&str>) -> fmt::Result {
    let (width, height) = (drawing.width_px, drawing.height_px);
    let file = namespaces.is_some();
    match namespaces {
        Some(namespaces) => write!(out, "<svg {namespaces} version=\"1.1\" width=\"{width}\" height=\"{height}\"")?,
        None => write!(out, "<svg width=\"{width}\" height=\"{height}\"")?,
    }
    write!(out, " viewBox=\"0 0 {width} {height}\" role=\"img\" font-family=\"{FONT}\">")?;
    writeln!(out, "<title>{}</title>", escape(title))?;
    writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>")?;
    for layer in &drawing.layers {
        write_layer(out, layer, file)?;
    }
    write!(out, "</svg>")
}

fn write_layer(out: &mut String, layer: &Layer, file: bool) -> fmt::Result {
    let name = layer.name;
    if file {
        write!(out, "<g id=\"{name}\" inkscape:groupmode=\"layer\" inkscape:label=\"{name}\">")?;
    } else {
        write!(out, "<g>")?;
    }
    writeln!(out)?;
    // A nested svg element clips without an id, of which a page with many drawings would have several alike.
    match layer.clip {
        Some(clip) => {
            let Rectangle { x, y, width, height } = clip;
            write!(out, "<svg overflow=\"hidden\" {}", rectangle(clip))?;
            writeln!(out, " viewBox=\"{} {} {} {}\">", number(x), number(y), number(width), number(height))?;
            write_shapes(out, layer, file)?;
            writeln!(out, "</svg></g>")
        }
        None => {
            write_shapes(out, layer, file)?;
            writeln!(out, "</g>")
        }
    }
}

fn write_shapes(out: &mut String, layer: &Layer, file: bool) -> fmt::Result {
    for shape in &layer.shapes {
        write_shape(out, shape, file)?;
    }
    Ok(())
}

fn write_shape(out: &mut String, shape: &Shape, file: bool) -> fmt::Result {
    match shape {
        Shape::Rectangle { area, colour, opacity } => {
            writeln!(out, "<rect {} fill=\"{}\"{}/>", rectangle(*area), hex(*colour), opaque("fill", *opacity))
        }
        Shape::Frame { area, thickness, colour } => {
            let half = 0.5 * thickness;
            let middle = Rectangle::new(area.x + half, area.y + half, area.width - thickness, area.height - thickness);
            let (colour, width) = (hex(*colour), number(*thickness));
            writeln!(out, "<rect {} fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"/>", rectangle(middle))
        }
        Shape::Discs { centres, radius, colour, opacity } => {
            write!(out, "<g fill=\"{}\"{}>", hex(*colour), opaque("fill", *opacity))?;
            circles(out, centres, *radius)?;
            writeln!(out, "</g>")
        }
        Shape::Rings { centres, radius, thickness, colour, opacity } => {
            let (colour, width, opacity) = (hex(*colour), number(*thickness), opaque("stroke", *opacity));
            write!(out, "<g fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\"{opacity}>")?;
            circles(out, centres, *radius)?;
            writeln!(out, "</g>")
        }
        Shape::Area { points, colour, opacity } => {
            write!(out, "<polygon points=\"")?;
            write_points(out, points)?;
            writeln!(out, "\" fill=\"{}\"{}/>", hex(*colour), opaque("fill", *opacity))
        }
        Shape::Line { points, thickness, colour, dashed } => {
            write!(out, "<polyline points=\"")?;
            write_points(out, points)?;
            let (colour, width) = (hex(*colour), number(*thickness));
            write!(out, "\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"")?;
            if *dashed {
                let [on, off] = dash_px(*thickness);
                write!(out, " stroke-dasharray=\"{} {}\"", number(on), number(off))?;
            }
            writeln!(out, " stroke-linecap=\"round\"/>")
        }
        Shape::Text { text, size_px, colour, horizontal, vertical, at, upwards } => {
            let anchor = match horizontal {
                Horizontal::Left => "start",
                Horizontal::Centre => "middle",
                Horizontal::Right => "end",
            };
            let baseline = match vertical {
                Vertical::Top => text::ascent(*size_px),
                Vertical::Middle => 0.5 * text::capital_height(*size_px),
                Vertical::Baseline => 0.0,
            };
            let place = if *upwards {
                let (x, y) = (number(at.x), number(at.y));
                format!("transform=\"translate({x} {y}) rotate(-90)\" y=\"{}\"", number(baseline))
            } else {
                format!("x=\"{}\" y=\"{}\"", number(at.x), number(at.y + baseline))
            };
            let (size, colour) = (number(EM * size_px), hex(*colour));
            let words = escape(text);
            writeln!(
                out,
                "<text {place} font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{words}</text>"
            )
        }
        Shape::Picture { pixels, area } => {
            let data = base64::encode(&pixels.png());
            // Inkscape reads the older name of the attribute alone.
            let link = if file { "xlink:href" } else { "href" };
            writeln!(
                out,
                "<image {} preserveAspectRatio=\"none\" \
                 style=\"image-rendering:optimizeSpeed;image-rendering:pixelated\" \
                 {link}=\"data:image/png;base64,{data}\"/>",
                rectangle(*area)
            )
        }
    }
}

fn write_points(out: &mut String, points: &[Point]) -> fmt::Result {
    for (index, point) in points.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        write!(out, "{space}{},{}", number(point.x), number(point.y))?;
    }
    Ok(())
}

fn circles(out: &mut String, centres: &[Point], radius: f32) -> fmt::Result {
    let radius = number(radius);
    for centre in centres {
        write!(out, "<circle cx=\"{}\" cy=\"{}\" r=\"{radius}\"/>", number(centre.x), number(centre.y))?;
    }
    Ok(())
}

fn rectangle(area: Rectangle) -> String {
    let [x, y, width, height] = [area.x, area.y, area.width.max(0.0), area.height.max(0.0)].map(number);
    format!("x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"")
}

fn opaque(what: &str, opacity: f32) -> String {
    if opacity >= 1.0 { String::new() } else { format!(" {what}-opacity=\"{}\"", number(opacity)) }
}

/// A colour as `#rrggbb`.
pub(crate) fn hex(colour: Colour) -> String {
    let [r, g, b] = colour.0;
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A number to a hundredth of a pixel; what is not finite has no place in a drawing and stands far outside of it.
fn number(value: f32) -> String {
    if !value.is_finite() {
        return "-99999".to_owned();
    }
    let written = format!("{value:.2}");
    let short = written.trim_end_matches('0').trim_end_matches('.');
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::INK;
    use crate::drawing::Pixels;

    #[test]
    fn numbers_are_short() {
        for (value, written) in
            [(1.0, "1"), (100.0, "100"), (0.258, "0.26"), (-0.001, "0"), (-3.5, "-3.5"), (f32::NAN, "-99999")]
        {
            assert_eq!(number(value), written);
        }
    }

    #[test]
    fn any_text_is_kept_and_the_file_is_xml() {
        let words = "a<b & \"c\" > 'd' ]]> <!-- µ² \u{1} é";
        let anchor = (Horizontal::Left, Vertical::Top);
        let shapes = vec![
            Shape::text(words, 14.0, INK, anchor, Point::new(1.0, 2.0)),
            Shape::text_upwards(words, 14.0, INK, anchor, Point::new(1.0, 2.0)),
            Shape::Picture {
                pixels: Pixels::Grey(image::GrayImage::new(3, 3)),
                area: Rectangle::new(0.0, 0.0, 30.0, 30.0),
            },
            Shape::Discs { centres: vec![Point::new(5.0, 5.0); 4], radius: 2.0, colour: INK, opacity: 0.5 },
        ];
        let clip = Some(Rectangle::new(0.0, 0.0, 50.0, 50.0));
        let drawing = Drawing { width_px: 64, height_px: 64, layers: vec![Layer { name: "all", clip, shapes }] };
        let file = drawing.to_svg(words);
        let parsed = roxmltree::Document::parse(&file).unwrap();
        let expected = words.replace('\u{1}', "\u{fffd}");
        let found: Vec<&str> = parsed
            .descendants()
            .filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .filter_map(|n| n.text())
            .collect();
        assert_eq!(found, [expected.as_str(), expected.as_str()]);
        assert_eq!(parsed.descendants().filter(|n| n.tag_name().name() == "circle").count(), 4);
        // In a page the element needs no namespace, and names no address.
        let inline = drawing.to_inline_svg(words);
        assert!(!inline.contains("http") && roxmltree::Document::parse(&inline).is_ok());
    }
}

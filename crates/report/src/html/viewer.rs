//! What every picture of a page has that can be zoomed and pointed at: the picture, its scale bar and the numbers that
//! the script reads.

use serde_json::{Value, json};

use super::picture::FramePicture;
use super::statistics::median;
use crate::colour::ColourMap;
use crate::neighbours::nearest_distances;
use crate::scale_bar::{length_label, round_length};
use crate::{base64, svg};

/// What `stage.html` needs.
#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) aspect: String,
    pub(crate) width_nm: f64,
    pub(crate) height_nm: f64,
    pub(crate) alt: String,
    /// The first picture, in base64.
    pub(crate) png: String,
    pub(crate) scale_percent: String,
    pub(crate) scale_label: String,
    /// What is said where scripts do not run.
    pub(crate) without_script: &'static str,
    /// JSON that may stand inside of a script element.
    pub(crate) data: String,
}

impl Stage {
    /// A picture and its data, to which its size and a ramp of colours are added. The data's `frames` are a list of
    /// objects with a `label`, an `alt` and a `png`, an address by [`address`]; that of the first is empty, as the page
    /// has it already.
    pub(crate) fn new(picture: &FramePicture, alt: String, without_script: &'static str, mut data: Value) -> Stage {
        data["width"] = json!(picture.width_nm);
        data["height"] = json!(picture.height_nm);
        data["half"] = json!(0.5 * picture.pixel_nm);
        data["ramp"] = json!(ramp(ColourMap::Viridis));
        let scale_nm = round_length(0.2 * picture.width_nm);
        Stage {
            aspect: format!("{:.5}", picture.width_nm / picture.height_nm),
            width_nm: picture.width_nm,
            height_nm: picture.height_nm,
            alt,
            png: base64::encode(&picture.png),
            scale_percent: format!("{:.4}", 100.0 * scale_nm / picture.width_nm),
            scale_label: length_label(10.0 * scale_nm),
            without_script,
            data: in_script(&data),
        }
    }
}

/// Colours of a map at even steps, for a gradient.
pub(crate) fn ramp(map: ColourMap) -> Vec<String> {
    (0..=16).map(|i| svg::hex(map.colour(i as f32 / 16.0))).collect()
}

/// A third of the usual distance to the nearest neighbour, so that circles of neighbours do not touch, on a picture
/// whose longer side is given.
pub(crate) fn ring_radius_nm(places: &[[f64; 2]], longest_nm: f64) -> f64 {
    let distances: Vec<f64> = nearest_distances(places).into_iter().flatten().filter(|d| *d > 0.0).collect();
    let largest = 0.04 * longest_nm;
    median(&distances).map_or(largest, |distance| (distance / 3.0).clamp(0.002 * longest_nm, largest))
}

pub(crate) fn address(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64::encode(png))
}

/// Rounded to decimals; what is not finite stays so and is written as `null`.
pub(crate) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10.0_f64.powi(decimals);
    (value * scale).round() / scale
}

/// JSON in which nothing can end the script element that it stands in.
fn in_script(value: &Value) -> String {
    value.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_end_the_script() {
        let value = json!({ "name": "</script><!-- & -->" });
        let written = in_script(&value);
        assert!(!written.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value);
    }

    #[test]
    fn numbers_are_short_and_what_is_none_is_null() {
        assert_eq!(json!([rounded(0.123_456, 4), rounded(f64::NAN, 2)]).to_string(), "[0.1235,null]");
    }
}

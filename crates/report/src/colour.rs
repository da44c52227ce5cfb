//! Colours and colour maps.
//!
//! *Viridis* by S. van der Walt and N. Smith, published with matplotlib under CC0
//! (<https://bids.github.io/colormap/>): perceptually uniform, rising in lightness from dark violet to yellow, and safe
//! for the colour-blind. *Diverging*: blue over grey to red, K. Moreland, "Diverging color maps for scientific
//! visualization", ISVC 2009 (DOI 10.1007/978-3-642-10520-3_9), computed from its two end colours in the polar form
//! (magnitude, saturation, hue) of CIELAB, with the paper's hue twist.

/// A colour, red, green and blue from 0 to 255 (sRGB).
pub type Colour = image::Rgb<u8>;

/// White.
pub const WHITE: Colour = image::Rgb([255, 255, 255]);
/// Black.
pub const BLACK: Colour = image::Rgb([0, 0, 0]);
/// What text is written in on white.
pub const INK: Colour = image::Rgb([25, 25, 25]);
/// What pixels without a finite value are painted in on a grey picture, where they are a fault.
pub const NOT_A_NUMBER: Colour = image::Rgb([255, 0, 255]);
/// What pixels without a finite value are painted in on a coloured map, where they are places without a result.
pub const NO_RESULT: Colour = image::Rgb([238, 238, 238]);

/// Colours for series and marks, told apart by the colour-blind and legible on grey: M. Okabe and K. Ito, "Color
/// universal design" (2008), without its black, the strongest first.
pub const SERIES: [Colour; 7] = [
    from_hex(0xe69f00),
    from_hex(0x56b4e9),
    from_hex(0x009e73),
    from_hex(0xcc79a7),
    from_hex(0xf0e442),
    from_hex(0xd55e00),
    from_hex(0x0072b2),
];

/// A colour from its hexadecimal notation, `0xrrggbb`.
pub const fn from_hex(hex: u32) -> Colour {
    image::Rgb([(hex >> 16) as u8, (hex >> 8) as u8, hex as u8])
}

/// The colour at `fraction` of the way from one colour to another.
pub fn mix(from: Colour, to: Colour, fraction: f32) -> Colour {
    let channel = |a: u8, b: u8| (f32::from(a) + (f32::from(b) - f32::from(a)) * fraction).round() as u8;
    image::Rgb([0, 1, 2].map(|i| channel(from.0[i], to.0[i])))
}

/// How numbers become colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMap {
    /// Black to white.
    Grey,
    /// Dark violet over green to yellow, for quantities without a centre.
    Viridis,
    /// Blue over grey to red, for quantities that are centred on zero, such as strain.
    Diverging,
}

impl ColourMap {
    /// The colour at `fraction`, 0 to 1; outside of that the end's colour.
    pub fn colour(self, fraction: f32) -> Colour {
        let fraction = fraction.clamp(0.0, 1.0);
        match self {
            ColourMap::Grey => {
                let level = (fraction * 255.0).round() as u8;
                image::Rgb([level; 3])
            }
            ColourMap::Viridis => {
                let place = fraction * (VIRIDIS.len() - 1) as f32;
                let below = place.floor() as usize;
                let above = (below + 1).min(VIRIDIS.len() - 1);
                mix(from_hex(VIRIDIS[below]), from_hex(VIRIDIS[above]), place.fract())
            }
            ColourMap::Diverging => diverging(f64::from(fraction)),
        }
    }

    /// The colours at 256 even steps, for painting many pixels.
    pub fn table(self) -> [Colour; 256] {
        std::array::from_fn(|index| self.colour(index as f32 / 255.0))
    }
}

/// Moreland's map between RGB (59, 76, 192) and (180, 4, 38).
fn diverging(fraction: f64) -> Colour {
    let [blue, red] = [[59, 76, 192], [180, 4, 38]].map(polar_from_rgb);
    let middle_magnitude = blue[0].max(red[0]).max(88.0);
    // Each half runs from its end colour to the unsaturated middle, whose hue is turned so that lightness stays even.
    let (end, towards_middle) = if fraction < 0.5 { (blue, 2.0 * fraction) } else { (red, 2.0 - 2.0 * fraction) };
    let middle = [middle_magnitude, 0.0, twisted_hue(end, middle_magnitude)];
    rgb_from_polar([0, 1, 2].map(|i| end[i] + (middle[i] - end[i]) * towards_middle))
}

/// The hue of the unsaturated end of a ramp from `saturated`, the paper's `AdjustHue`.
fn twisted_hue(saturated: [f64; 3], unsaturated_magnitude: f64) -> f64 {
    let [magnitude, saturation, hue] = saturated;
    if magnitude >= unsaturated_magnitude {
        return hue;
    }
    let spin = saturation * (unsaturated_magnitude.powi(2) - magnitude.powi(2)).sqrt() / (magnitude * saturation.sin());
    if hue > -std::f64::consts::FRAC_PI_3 { hue + spin } else { hue - spin }
}

/// White point D65 of CIE 1931.
const WHITE_POINT: [f64; 3] = [0.95047, 1.0, 1.08883];

/// sRGB (IEC 61966-2-1) to magnitude, saturation angle and hue angle of CIELAB.
fn polar_from_rgb(rgb: [u8; 3]) -> [f64; 3] {
    let [r, g, b] = rgb.map(|value| {
        let value = f64::from(value) / 255.0;
        if value > 0.04045 { ((value + 0.055) / 1.055).powf(2.4) } else { value / 12.92 }
    });
    let xyz = [
        0.4124 * r + 0.3576 * g + 0.1805 * b,
        0.2126 * r + 0.7152 * g + 0.0722 * b,
        0.0193 * r + 0.1192 * g + 0.9505 * b,
    ];
    let [x, y, z] = [0, 1, 2].map(|i| {
        let ratio = xyz[i] / WHITE_POINT[i];
        if ratio > 0.008856 { ratio.cbrt() } else { 7.787 * ratio + 16.0 / 116.0 }
    });
    let (lightness, a, b) = (116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z));
    let magnitude = (lightness * lightness + a * a + b * b).sqrt();
    [magnitude, (lightness / magnitude).acos(), b.atan2(a)]
}

/// The inverse of [`polar_from_rgb`], clipped to what a screen can show.
fn rgb_from_polar([magnitude, saturation, hue]: [f64; 3]) -> Colour {
    let lightness = magnitude * saturation.cos();
    let a = magnitude * saturation.sin() * hue.cos();
    let b = magnitude * saturation.sin() * hue.sin();
    let y = (lightness + 16.0) / 116.0;
    let relative = [y + a / 500.0, y, y - b / 200.0];
    let [x, y, z] = [0, 1, 2].map(|i| {
        let cube = relative[i].powi(3);
        WHITE_POINT[i] * if cube > 0.008856 { cube } else { (relative[i] - 16.0 / 116.0) / 7.787 }
    });
    let linear = [
        3.2406 * x - 1.5372 * y - 0.4986 * z,
        -0.9689 * x + 1.8758 * y + 0.0415 * z,
        0.0557 * x - 0.2040 * y + 1.0570 * z,
    ];
    image::Rgb(linear.map(|value| {
        let encoded = if value > 0.0031308 { 1.055 * value.powf(1.0 / 2.4) - 0.055 } else { 12.92 * value };
        (encoded.clamp(0.0, 1.0) * 255.0).round() as u8
    }))
}

/// Viridis at 256 even steps.
const VIRIDIS: [u32; 256] = [
    0x440154, 0x440256, 0x450457, 0x450559, 0x46075a, 0x46085c, 0x460a5d, 0x460b5e, 0x470d60, 0x470e61, 0x471063,
    0x471164, 0x471365, 0x481467, 0x481668, 0x481769, 0x48186a, 0x481a6c, 0x481b6d, 0x481c6e, 0x481d6f, 0x481f70,
    0x482071, 0x482173, 0x482374, 0x482475, 0x482576, 0x482677, 0x482878, 0x482979, 0x472a7a, 0x472c7a, 0x472d7b,
    0x472e7c, 0x472f7d, 0x46307e, 0x46327e, 0x46337f, 0x463480, 0x453581, 0x453781, 0x453882, 0x443983, 0x443a83,
    0x443b84, 0x433d84, 0x433e85, 0x423f85, 0x424086, 0x424186, 0x414287, 0x414487, 0x404588, 0x404688, 0x3f4788,
    0x3f4889, 0x3e4989, 0x3e4a89, 0x3e4c8a, 0x3d4d8a, 0x3d4e8a, 0x3c4f8a, 0x3c508b, 0x3b518b, 0x3b528b, 0x3a538b,
    0x3a548c, 0x39558c, 0x39568c, 0x38588c, 0x38598c, 0x375a8c, 0x375b8d, 0x365c8d, 0x365d8d, 0x355e8d, 0x355f8d,
    0x34608d, 0x34618d, 0x33628d, 0x33638d, 0x32648e, 0x32658e, 0x31668e, 0x31678e, 0x31688e, 0x30698e, 0x306a8e,
    0x2f6b8e, 0x2f6c8e, 0x2e6d8e, 0x2e6e8e, 0x2e6f8e, 0x2d708e, 0x2d718e, 0x2c718e, 0x2c728e, 0x2c738e, 0x2b748e,
    0x2b758e, 0x2a768e, 0x2a778e, 0x2a788e, 0x29798e, 0x297a8e, 0x297b8e, 0x287c8e, 0x287d8e, 0x277e8e, 0x277f8e,
    0x27808e, 0x26818e, 0x26828e, 0x26828e, 0x25838e, 0x25848e, 0x25858e, 0x24868e, 0x24878e, 0x23888e, 0x23898e,
    0x238a8d, 0x228b8d, 0x228c8d, 0x228d8d, 0x218e8d, 0x218f8d, 0x21908d, 0x21918c, 0x20928c, 0x20928c, 0x20938c,
    0x1f948c, 0x1f958b, 0x1f968b, 0x1f978b, 0x1f988b, 0x1f998a, 0x1f9a8a, 0x1e9b8a, 0x1e9c89, 0x1e9d89, 0x1f9e89,
    0x1f9f88, 0x1fa088, 0x1fa188, 0x1fa187, 0x1fa287, 0x20a386, 0x20a486, 0x21a585, 0x21a685, 0x22a785, 0x22a884,
    0x23a983, 0x24aa83, 0x25ab82, 0x25ac82, 0x26ad81, 0x27ad81, 0x28ae80, 0x29af7f, 0x2ab07f, 0x2cb17e, 0x2db27d,
    0x2eb37c, 0x2fb47c, 0x31b57b, 0x32b67a, 0x34b679, 0x35b779, 0x37b878, 0x38b977, 0x3aba76, 0x3bbb75, 0x3dbc74,
    0x3fbc73, 0x40bd72, 0x42be71, 0x44bf70, 0x46c06f, 0x48c16e, 0x4ac16d, 0x4cc26c, 0x4ec36b, 0x50c46a, 0x52c569,
    0x54c568, 0x56c667, 0x58c765, 0x5ac864, 0x5cc863, 0x5ec962, 0x60ca60, 0x63cb5f, 0x65cb5e, 0x67cc5c, 0x69cd5b,
    0x6ccd5a, 0x6ece58, 0x70cf57, 0x73d056, 0x75d054, 0x77d153, 0x7ad151, 0x7cd250, 0x7fd34e, 0x81d34d, 0x84d44b,
    0x86d549, 0x89d548, 0x8bd646, 0x8ed645, 0x90d743, 0x93d741, 0x95d840, 0x98d83e, 0x9bd93c, 0x9dd93b, 0xa0da39,
    0xa2da37, 0xa5db36, 0xa8db34, 0xaadc32, 0xaddc30, 0xb0dd2f, 0xb2dd2d, 0xb5de2b, 0xb8de29, 0xbade28, 0xbddf26,
    0xc0df25, 0xc2df23, 0xc5e021, 0xc8e020, 0xcae11f, 0xcde11d, 0xd0e11c, 0xd2e21b, 0xd5e21a, 0xd8e219, 0xdae319,
    0xdde318, 0xdfe318, 0xe2e418, 0xe5e419, 0xe7e419, 0xeae51a, 0xece51b, 0xefe51c, 0xf1e51d, 0xf4e61e, 0xf6e620,
    0xf8e621, 0xfbe723, 0xfde725,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diverging_map_has_the_colours_of_the_paper() {
        // The table that Moreland publishes with the paper (kennethmoreland.com/color-maps, CoolWarmFloat33).
        for (fraction, expected) in [
            (0.0, [59, 76, 192]),
            (0.25, [141, 176, 254]),
            (0.5, [221, 221, 221]),
            (0.75, [244, 154, 123]),
            (1.0, [180, 4, 38]),
        ] {
            let found = ColourMap::Diverging.colour(fraction).0;
            for (f, e) in found.iter().zip(expected) {
                assert!((i32::from(*f) - e).abs() <= 2, "{fraction}: {found:?}, expected {expected:?}");
            }
        }
    }

    #[test]
    fn uniform_maps_rise_in_lightness() {
        for map in [ColourMap::Grey, ColourMap::Viridis] {
            let lightness = map.table().map(|colour| {
                let [magnitude, saturation, _] = polar_from_rgb(colour.0);
                if magnitude == 0.0 { 0.0 } else { magnitude * saturation.cos() }
            });
            assert!(lightness.windows(2).all(|pair| pair[1] >= pair[0] - 0.25), "{map:?}");
            assert!(lightness[255] - lightness[0] > 70.0, "{map:?}");
        }
    }

    #[test]
    fn values_beyond_the_ends_keep_the_end_colour() {
        for map in [ColourMap::Grey, ColourMap::Viridis, ColourMap::Diverging] {
            assert_eq!(map.colour(-3.0), map.colour(0.0));
            assert_eq!(map.colour(7.0), map.colour(1.0));
        }
    }
}

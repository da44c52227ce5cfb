//! Which shapes, elements and zone axes a recipe asks for.

use std::collections::BTreeMap;

use atomlens_core::Element;
use rand::{Rng, RngExt};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A kind of particle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A single crystal, cut by {100}, {111} and perhaps {110} faces.
    Truncated,
    /// The same with one or more parallel {111} twin planes.
    Twinned,
    /// Five twins about a common `[110]` axis (Marks decahedron).
    Decahedron,
    /// Twenty twins about a point (Mackay icosahedron).
    Icosahedron,
}

/// Shapes with their relative weights. In TOML:
///
/// ```
/// # use atomlens_specimen::particle::ShapeMix;
/// # #[derive(serde::Deserialize)] struct R { a: ShapeMix, b: ShapeMix, c: ShapeMix }
/// let recipe: R = toml::from_str(r#"
/// a = "truncated"
/// b = ["truncated", "decahedron"]                  # equally likely
/// c = { truncated = 3, twinned = 1 }               # relative weights
/// "#).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ShapeMix(BTreeMap<Shape, f64>);

impl ShapeMix {
    /// Draws one shape.
    pub fn sample(&self, random: &mut impl Rng) -> Shape {
        let mut left = random.random::<f64>() * self.0.values().sum::<f64>();
        let mut last = Shape::Truncated;
        for (&shape, &weight) in self.0.iter().filter(|(_, weight)| **weight > 0.0) {
            last = shape;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }
}

impl From<Shape> for ShapeMix {
    fn from(shape: Shape) -> ShapeMix {
        ShapeMix(BTreeMap::from([(shape, 1.0)]))
    }
}

impl<'de> Deserialize<'de> for ShapeMix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MixVisitor;
        impl<'de> Visitor<'de> for MixVisitor {
            type Value = ShapeMix;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(
                    "a shape (\"truncated\", \"twinned\", \"decahedron\" or \"icosahedron\"), a list of them, or a \
                     table of their weights such as { truncated = 3, twinned = 1 }",
                )
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<ShapeMix, E> {
                Shape::deserialize(de::value::StrDeserializer::new(name)).map(ShapeMix::from)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ShapeMix, A::Error> {
                let mut weights = BTreeMap::new();
                while let Some(shape) = list.next_element()? {
                    *weights.entry(shape).or_insert(0.0) += 1.0;
                }
                checked(weights)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ShapeMix, A::Error> {
                let mut weights = BTreeMap::new();
                while let Some((shape, weight)) = map.next_entry()? {
                    weights.insert(shape, weight);
                }
                checked(weights)
            }
        }

        fn checked<E: de::Error>(weights: BTreeMap<Shape, f64>) -> Result<ShapeMix, E> {
            let total: f64 = weights.values().sum();
            if weights.values().any(|weight| *weight < 0.0) || !(total > 0.0 && total.is_finite()) {
                return Err(E::custom("the weights of the shapes must not be negative, and one must be positive"));
            }
            Ok(ShapeMix(weights))
        }

        deserializer.deserialize_any(MixVisitor)
    }
}

/// One element, or several that are equally likely: `"Au"` or `["Au", "Pt"]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Elements(Vec<Element>);

impl Elements {
    /// Draws one element.
    pub fn sample(&self, random: &mut impl Rng) -> Element {
        self.0[random.random_range(0..self.0.len())]
    }

    /// All of them.
    pub fn as_slice(&self) -> &[Element] {
        &self.0
    }
}

impl From<Element> for Elements {
    fn from(element: Element) -> Elements {
        Elements(vec![element])
    }
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;
        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a chemical symbol such as \"Au\", or a list of them")
            }

            fn visit_str<E: de::Error>(self, symbol: &str) -> Result<Elements, E> {
                symbol.parse::<Element>().map(Elements::from).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    elements.push(element);
                }
                if elements.is_empty() {
                    return Err(de::Error::invalid_length(0, &self));
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_any(ElementsVisitor)
    }
}

/// One zone axis `[u, v, w]`, or several that are equally likely: `[1, 1, 0]` or `[[1, 1, 0], [1, 0, 0]]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ZoneAxes(Vec<[i32; 3]>);

impl ZoneAxes {
    /// Draws one axis.
    pub fn sample(&self, random: &mut impl Rng) -> [i32; 3] {
        self.0[random.random_range(0..self.0.len())]
    }
}

impl From<[i32; 3]> for ZoneAxes {
    fn from(axis: [i32; 3]) -> ZoneAxes {
        ZoneAxes(vec![axis])
    }
}

impl<'de> Deserialize<'de> for ZoneAxes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a zone axis is three whole numbers, [1, 1, 0], or a list of such axes")]
        enum Item {
            Index(i32),
            Axis([i32; 3]),
        }
        let items = Vec::<Item>::deserialize(deserializer)?;
        let axes = match items.as_slice() {
            [Item::Index(u), Item::Index(v), Item::Index(w)] => vec![[*u, *v, *w]],
            _ => items
                .iter()
                .map(|item| match item {
                    Item::Axis(axis) => Ok(*axis),
                    Item::Index(_) => {
                        Err(de::Error::custom("a zone axis is three whole numbers, [1, 1, 0], or a list of such axes"))
                    }
                })
                .collect::<Result<_, _>>()?,
        };
        if axes.is_empty() || axes.contains(&[0; 3]) {
            return Err(de::Error::custom("a zone axis needs three whole numbers that are not all zero"));
        }
        Ok(ZoneAxes(axes))
    }
}

#[cfg(test)]
mod tests {
    use atomlens_core::SeedPath;

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct Recipe<T> {
        knob: T,
    }

    fn parse<T: de::DeserializeOwned>(text: &str) -> Result<T, String> {
        toml::from_str::<Recipe<T>>(&format!("knob = {text}")).map(|r| r.knob).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn shapes_come_with_their_weights() {
        let mix: ShapeMix = parse("{ truncated = 3, icosahedron = 1, twinned = 0 }").unwrap();
        let mut random = SeedPath::new(1).stream();
        let mut counts = BTreeMap::new();
        for _ in 0..4000 {
            *counts.entry(mix.sample(&mut random)).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 2);
        // Binomial with a standard deviation of 27: four of them.
        assert!((counts[&Shape::Icosahedron] - 1000).abs() < 110, "{counts:?}");
        assert!(parse::<ShapeMix>("\"cube\"").unwrap_err().contains("icosahedron"));
        assert!(parse::<ShapeMix>("{ truncated = 0 }").is_err());
        assert!(parse::<ShapeMix>("{ truncatd = 1 }").unwrap_err().contains("truncatd"));
        let written = toml::to_string(&Recipe { knob: mix.clone() }).unwrap();
        assert_eq!(toml::from_str::<Recipe<ShapeMix>>(&written).unwrap().knob, mix);
    }

    #[test]
    fn elements_and_axes_are_one_or_many() {
        assert_eq!(parse::<Elements>("[\"Au\", \"Pt\"]").unwrap().as_slice().len(), 2);
        assert!(parse::<Elements>("\"Xx\"").unwrap_err().contains("Xx"));
        assert_eq!(parse::<ZoneAxes>("[1, 1, 0]").unwrap(), ZoneAxes(vec![[1, 1, 0]]));
        assert_eq!(parse::<ZoneAxes>("[[1, 1, 0], [1, 0, 0]]").unwrap(), ZoneAxes(vec![[1, 1, 0], [1, 0, 0]]));
        for bad in ["[0, 0, 0]", "[1, 1]", "[[1, 1, 0], 3]", "[]", "[1.5, 0, 0]"] {
            let message = parse::<ZoneAxes>(bad).unwrap_err();
            assert!(message.contains("three whole numbers"), "{bad}: {message}");
        }
    }
}

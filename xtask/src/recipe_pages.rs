//! Tests that docs/recipes.md and the recipes know the same keys.

use std::collections::BTreeSet;

use atomlens_dataset::Recipe;
use atomlens_workflow::recipes::BUNDLED;

/// Recipes that together have every kind of body and support, and every key that is written only where it is set.
const EVERYTHING: [&str; 7] = [
    r#"
name = "particle"
[image]
pixels = 64
pixel_size_angstrom = 0.2
[wave]
energy_kev = 200
[specimen.body]
kind = "nanoparticle"
element = "Pt"
lattice_constant_angstrom = 3.9
face_110_distance = 1.0
[specimen.support]
kind = "oxide"
cell = { lengths_angstrom = [4.2, 4.2, 4.2], basis = [{ element = "Mg", at = [0, 0, 0] }] }
[specimen.thermal]
rms_displacement_angstrom = { Pt = 0.08 }
[dynamics]
[optics]
focal_spread = { standard_deviation_angstrom = 20 }
angular_spread = { full_width_half_maximum_mrad = 0.2 }
focus_samples = 9
angle_samples = 5
aperture_mrad = 20
focal_series = { images = 3, step_angstrom = 50 }
[camera]
dose_e_per_a2 = 100
mtf = { parametric = { c3 = 0.4, c4 = 2.5 } }
ntf = { table = "camera.ntf" }
saturation_counts = 60000
"#,
    r#"body = { kind = "nanoparticle", element = "Pt" }
support = { kind = "amorphous_carbon" }"#,
    r#"body = { kind = "layer", material = "graphene" }
support = { kind = "graphene" }"#,
    r#"body = { kind = "layer", material = "hBN" }"#,
    r#"body = { kind = "layer", material = "WS2", substitutions = [{ site = "metal", element = "Mo", fraction = 0.1 }] }"#,
    r#"body = { kind = "file", path = "a.cif", repeat = [1, 1, 1], zone_axis = [0, 0, 1], in_plane_axis = [1, 0, 0], cut = { kind = "sphere", radius_angstrom = 9 } }"#,
    r#"body = { kind = "file", path = "a.cif", cut = { kind = "slab", thickness_angstrom = 9 } }"#,
];

/// Keys of tables whose entries the user names: aberrations, elements, shapes.
const NAMED_BY_THE_USER: [&str; 3] = ["aberrations", "rms_displacement_angstrom", "shape"];

fn keys(value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                found.insert(key.clone());
                if !NAMED_BY_THE_USER.contains(&key.as_str()) {
                    keys(value, found);
                }
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

fn all_keys() -> BTreeSet<String> {
    let specimens = EVERYTHING[1..].iter().map(|specimen| {
        format!(
            "name = 'x'\nimage = {{ pixels = 64, pixel_size_angstrom = 0.2 }}\nwave = {{ energy_kev = 200 }}\n\
             camera = {{ dose_e_per_a2 = 100 }}\n[specimen]\n{specimen}"
        )
    });
    let texts = std::iter::once(EVERYTHING[0].to_owned())
        .chain(specimens)
        .chain(BUNDLED.iter().map(|bundled| bundled.text.to_owned()));
    let mut found = BTreeSet::new();
    for text in texts {
        let recipe = Recipe::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        keys(&recipe.to_toml().parse::<toml::Table>().unwrap().into(), &mut found);
    }
    found
}

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md");
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn every_key_of_a_recipe_is_explained() {
    let page = page();
    let keys = all_keys();
    assert!(keys.len() > 130, "{}", keys.len());
    let words: BTreeSet<&str> = page.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let missing: Vec<&String> = keys.iter().filter(|key| !words.contains(key.as_str())).collect();
    assert!(missing.is_empty(), "docs/recipes.md does not mention {missing:?}");
}

#[test]
fn every_row_of_the_page_is_a_key() {
    let page = page();
    let keys = all_keys();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(key, _)| key));
    // Rows of the table of distributions show values, and tables are shown in brackets with their path.
    let rows: Vec<&str> = rows.filter(|row| !row.starts_with('{') && row.parse::<f64>().is_err()).collect();
    assert!(rows.len() > 120, "{}", rows.len());
    for row in rows {
        let key = row.trim_matches(['[', ']']).rsplit('.').next().unwrap();
        assert!(keys.contains(key), "docs/recipes.md explains {row}, which no recipe has");
    }
}

#[test]
fn the_recipe_on_the_page_can_be_used() {
    let page = page();
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (recipe, _) = rest.split_once("```").unwrap();
    let recipe = Recipe::parse(recipe).unwrap();
    assert_eq!(recipe.name, "palladium");
}

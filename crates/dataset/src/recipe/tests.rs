use super::*;

const GOOD: &str = r#"
name = "test"
[image]
pixels = 64
pixel_size_angstrom = 0.2
[wave]
energy_kev = 300
[specimen.body]
kind = "nanoparticle"
element = "Au"
radius_angstrom = 6
[optics]
defocus_angstrom = 80
cs_angstrom = -1e5
[camera]
dose_e_per_a2 = 1000
"#;

fn error(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    Recipe::parse(&GOOD.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn a_recipe_survives_being_written() {
    let recipe = Recipe::parse(GOOD).unwrap();
    assert_eq!(Recipe::parse(&recipe.to_toml()).unwrap(), recipe);
}

#[test]
fn unknown_keys_and_units_name_the_line_and_the_nearest() {
    let message = error("defocus_angstrom", "defocus_nm");
    assert!(
        message.contains("line 13")
            && message.contains("defocus_nm")
            && message.contains("nearest is defocus_angstrom"),
        "{message}"
    );
    let message = error("cs_angstrom", "cs_mm");
    assert!(message.contains("nearest is cs_angstrom"), "{message}");
    let message = error("pixel_size_angstrom", "pixelsize_angstrom");
    assert!(message.contains("nearest is pixel_size_angstrom"), "{message}");
    let message = error("[camera]", "[camra]");
    assert!(message.contains("nearest is camera"), "{message}");
}

#[test]
fn a_spread_without_convention_is_refused() {
    for text in ["focal_spread_angstrom = 30", "focal_spread = 30", "focal_spread = { uniform = [20, 40] }"] {
        let message = error("cs_angstrom = -1e5", text);
        assert!(message.contains("one_over_e_angstrom"), "{text}: {message}");
    }
    assert!(error("cs_angstrom = -1e5", "angular_spread_mrad = 0.3").contains("one_over_e_mrad"));
    let good = GOOD.replace("cs_angstrom = -1e5", "focal_spread = { one_over_e_angstrom = { uniform = [20, 40] } }");
    assert!(Recipe::parse(&good).is_ok());
}

#[test]
fn values_out_of_range_are_named() {
    for (from, to, expected) in [
        ("energy_kev = 300", "energy_kev = 300000", "30 to 1000"),
        ("pixels = 64", "pixels = 0", "16 to 8192"),
        ("pixels = 64", "pixels = [64, 9999]", "16 to 8192"),
        ("pixel_size_angstrom = 0.2", "pixel_size_angstrom = 20", "0.005 to 2"),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 0", "positive dose"),
        ("dose_e_per_a2 = 1000", "dose_e_per_a2 = 1000\nbinning = 0", "1 to 16"),
        ("cs_angstrom = -1e5", "aberrations = { C30 = 1 }", "optics.cs_angstrom"),
        ("cs_angstrom = -1e5", "aberrations = { C13 = 1 }", "C13"),
        ("energy_kev = 300", "energy_kev = 300\nsampling_angstrom = 0.5", "0.22"),
        ("element = \"Au\"", "element = \"Xx\"", "Xx"),
    ] {
        let message = error(from, to);
        assert!(message.contains(expected), "{to}: {message}");
    }
}

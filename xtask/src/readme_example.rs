//! The example of README.md, which is compiled and run here, and a test that both are the same.

#[test]
fn the_example_runs() -> Result<(), Box<dyn std::error::Error>> {
    let text = super::SMALL_RECIPE;
    // README.md shows what follows.
    use atomlens_dataset::{Recipe, Resources, SampleStream, Simulator, StreamSettings};

    let recipe = Recipe::parse(text)?; // the text of a TOML file
    let simulator = Simulator::new(recipe, Resources::default(), 42)?; // 42 is the seed
    for sample in SampleStream::new(simulator, StreamSettings::default()).take(3) {
        let sample = sample?;
        let counts = &sample.micrograph.counts; // [frame, focus, y, x]
        let gold = sample.columns.iter().filter(|column| column.species(sample.sheet) == "Au");
        println!("{:?}, {} columns of gold", counts.dim(), gold.count());
    }
    // README.md shows what precedes.
    Ok(())
}

#[test]
fn the_readme_shows_the_example() {
    let source = include_str!("readme_example.rs");
    let (_, rest) = source.split_once("// README.md shows what follows.\n").unwrap();
    let (example, _) = rest.split_once("    // README.md shows what precedes.").unwrap();
    let example: String =
        example.lines().map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    assert!(readme.contains(&example), "README.md must contain:\n{example}");
}

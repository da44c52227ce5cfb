//! A training from its recipe to a model: resumed it is the same, and what it writes can be read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atomlens_dataset::training::Mixture;
use atomlens_network::Device;
use atomlens_workflow::train::{TrainSettings, TrainingRecipe, run};
use atomlens_workflow::{Context, WorkflowError};

const RECIPE: &str = r#"
    name = "small"
    description = "a test"
    mixture = "metal-particles"
    lattices = ["Au"]
    [network]
    kind = "ladder"
    channels = [8, 12]
    pairs = 1
    [schedule]
    steps = 6
    batch = 2
    field_px = 128
    learning_rate = 2e-3
    warm_up_steps = 1
    validate_every = 2
    validation_images = 2
"#;

fn settings(out: &Path) -> TrainSettings {
    TrainSettings {
        recipe: TrainingRecipe::parse("small", RECIPE).unwrap(),
        mixture: Mixture::bundled("metal-particles").unwrap(),
        seed: 5,
        out: out.to_owned(),
        resume: false,
        from: None,
        device: Device::Cpu,
        minutes: None,
    }
}

/// Ends the training after so many steps, as Ctrl-C does.
struct StopAfter(u64, Arc<AtomicBool>);

impl atomlens_workflow::Progress for StopAfter {
    fn begin(&self, _: u64, _: &str) {}
    fn done(&self, steps: u64) {
        if steps >= self.0 {
            self.1.store(true, Ordering::Relaxed);
        }
    }
    fn note(&self, _: &str) {}
}

fn stopped_after(settings: &TrainSettings, steps: u64) {
    let mut context = Context::silent(2);
    context.progress = Arc::new(StopAfter(steps, context.cancelled.clone()));
    match run(settings, &context) {
        Err(WorkflowError::Cancelled { done, .. }) => assert_eq!(done, steps),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_training_that_was_stopped_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    stopped_after(&settings(&whole), 4);
    stopped_after(&settings(&parts), 1);
    let refused = run(&settings(&parts), &Context::silent(1)).unwrap_err();
    assert!(refused.to_string().contains("--resume"), "{refused}");
    assert_eq!(refused.exit_code(), 4);
    stopped_after(&TrainSettings { resume: true, ..settings(&parts) }, 4);
    let weights = |path: &Path| std::fs::read(path.join("weights.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
    for name in ["checkpoint.safetensors", "curves.csv", "curves.json", "training.html", "settings.json"] {
        assert!(parts.join(name).is_file(), "{name}");
    }
}

#[test]
fn a_model_to_begin_with_must_have_the_same_network() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TrainSettings { from: Some("metal-particles".to_owned()), ..settings(&folder.path().join("out")) };
    let error = run(&settings, &Context::silent(1)).unwrap_err();
    assert!(error.to_string().contains("--from"), "{error}");
    assert_eq!(error.exit_code(), 2);
}

/// What a user writes for a material that no model knows: focal series, columns by their elements, and the wave.
const OTHER_MATERIAL: &str = r#"
    name = "telluride"
    description = "MoTe2 in focal series"
    labels = { columns = ["Mo", "Te2", "Te"] }
    wave = true
    missing_image_fraction = 0.5
    field_px = 64
    images_per_wave = 2
    pixel_size_angstrom = 0.15
    [focal_series]
    images = 3
    step_angstrom = 50
    [[part]]
    recipe = "layer-dichalcogenide"
    weight = 1
    [part.change]
    image.pixels = 90
    specimen.body.material = "MoTe2"
"#;

#[test]
fn one_recipe_makes_a_network_for_focal_series_of_another_material() {
    let folder = tempfile::tempdir().unwrap();
    // A network of single images and other species to begin with.
    let first = folder.path().join("first");
    let mut of_single_images = settings(&first);
    of_single_images.mixture = Mixture::bundled("single-layers").unwrap();
    of_single_images.recipe.schedule.field_px = Some(64);
    stopped_after(&of_single_images, 1);
    let card = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/single-layers/card.toml"));
    std::fs::write(first.join("card.toml"), card.unwrap()).unwrap();

    let mut settings = settings(&folder.path().join("series"));
    settings.mixture = Mixture::parse(OTHER_MATERIAL, &|_| None).unwrap();
    settings.recipe.schedule.field_px = None;
    settings.from = Some(first.display().to_string());
    stopped_after(&settings, 2);
    let bytes = std::fs::read(settings.out.join("weights.safetensors")).unwrap();
    let network = atomlens_network::network_from_bytes(&bytes).unwrap();
    let architecture = network.architecture();
    assert_eq!((architecture.image_channels, architecture.species, architecture.wave), (3, 3, true));
    let curves = std::fs::read_to_string(settings.out.join("curves.csv")).unwrap();
    let mut lines = curves.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "loss_wave").unwrap();
    let last: f64 = lines.last().unwrap().split(',').nth(column).unwrap().parse().unwrap();
    assert!(last.is_finite() && last > 0.0, "{last}");
}

//! temporary
use atomlens_core::glam::DVec3;
use atomlens_core::{Atom, Cell, Structure};
use atomlens_simulate::potential::Placement;
use atomlens_simulate::{Multislice, PotentialSettings};
#[test]
#[ignore]
fn dump() {
    let text = std::fs::read_to_string("/work/shared/reference/physics/au110.xyz").unwrap();
    let atoms = text.lines().skip(2).map(|l| { let f: Vec<&str> = l.split_whitespace().collect();
        let p: Vec<f64> = f[1..4].iter().map(|v| v.parse().unwrap()).collect();
        Atom::new(f[0].parse().unwrap(), DVec3::new(p[0], p[1], p[2])) }).collect();
    let s = Structure { atoms, cell: Some(Cell::orthorhombic(DVec3::new(40.0, 40.0, 28.0))) };
    for (name, placement) in [("exact", Placement::Exact), ("bilinear", Placement::Bilinear)] {
        for g in [512, 768, 1024, 2048] {
            let m = Multislice { potential: PotentialSettings { placement, ..Default::default() }, ..Multislice::new(300e3) };
            let w = m.exit_wave::<f64>(&s, g, g).unwrap().wave();
            let b: Vec<u8> = w.iter().flat_map(|v| { let mut b = (v.re as f32).to_le_bytes().to_vec(); b.extend((v.im as f32).to_le_bytes()); b }).collect();
            std::fs::write(format!("/tmp/{name}_{g}.raw"), b).unwrap();
        }
    }
}

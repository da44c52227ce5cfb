//! Turning a crystal so that a zone axis points along the beam.

use atomlens_core::glam::{DMat3, DVec3};

/// The rotation that takes `zone` to z and the part of `in_plane` perpendicular to it to x.
/// `None` where the two are parallel or zero.
pub(crate) fn turned_to_beam(zone: DVec3, in_plane: DVec3) -> Option<DMat3> {
    let z = zone.try_normalize()?;
    let x = (in_plane - z * in_plane.dot(z)).try_normalize()?;
    // A remainder that is all rounding error says nothing about a direction.
    if (in_plane - z * in_plane.dot(z)).length() < 1e-6 * in_plane.length() {
        return None;
    }
    Some(DMat3::from_cols(x, z.cross(x), z).transpose())
}

/// The cubic rotation to a zone axis `[u, v, w]`, with the shortest lattice direction perpendicular to it along x:
/// `[0, 0, 1]` for the zone axes `[110]` and `[100]`, `[1, -1, 0]` for `[111]` and `[112]`.
pub(crate) fn cubic(zone_axis: [i32; 3]) -> DMat3 {
    let zone = DVec3::from_array(zone_axis.map(f64::from));
    let (_, in_plane) = small_directions()
        .filter(|direction| direction.dot(zone) == 0.0)
        .map(|direction| (direction.length_squared(), direction))
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| compare(b.1, a.1)))
        .unwrap_or((1.0, zone.any_orthogonal_vector()));
    turned_to_beam(zone, in_plane).unwrap_or(DMat3::IDENTITY)
}

fn compare(a: DVec3, b: DVec3) -> std::cmp::Ordering {
    a.to_array().map(|c| c as i64).cmp(&b.to_array().map(|c| c as i64))
}

/// All directions with indices from -3 to 3.
fn small_directions() -> impl Iterator<Item = DVec3> {
    let range = || (-3..=3).map(f64::from);
    range()
        .flat_map(move |u| range().flat_map(move |v| range().map(move |w| DVec3::new(u, v, w))))
        .filter(|direction| *direction != DVec3::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_axis_points_along_the_beam() {
        for zone_axis in [[1, 1, 0], [1, 0, 0], [1, 1, 1], [1, 1, 2], [3, -1, 2], [7, 5, 11]] {
            let rotation = cubic(zone_axis);
            let zone = DVec3::from_array(zone_axis.map(f64::from));
            assert!((rotation * zone).distance(DVec3::Z * zone.length()) < 1e-12, "{zone_axis:?}");
            assert!((rotation.determinant() - 1.0).abs() < 1e-12);
        }
        assert!((cubic([1, 1, 0]) * DVec3::Z).distance(DVec3::X) < 1e-12);
        assert!(turned_to_beam(DVec3::Z, DVec3::Z).is_none());
    }
}

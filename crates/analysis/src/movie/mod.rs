//! Movies: what stays, what comes and goes, and what moves, with the motion of the specimen taken out.
//!
//! Conventions: a *pose* says where the specimen is in a frame, `frame place = R(rotation) (reference place - centre) +
//! centre + drift`, so that reference places are places in the first frame; lengths in angstrom, angles in radian,
//! times in frames unless a name says otherwise. Everything here streams: it is given one frame after the other and
//! keeps what does not grow with their number, sites and open tracks aside.

pub mod comparison;
pub mod drift;
pub mod events;
pub mod mean_image;
pub mod occupancy;
pub mod reading;
pub mod sites;
pub mod tracks;
pub mod twin;

//! The plugin that does nothing.

/// The component of a merge plugin that keeps ours without a look at the question: what a call of it takes is what
/// asking any plugin costs. A thousand bytes, translated from `empty.wat`; a translator in here would have the whole of
/// Wasmtime built with other features.
pub(super) const EMPTY_MERGE: &[u8] = &include!("empty.in");

#[cfg(test)]
mod tests {
    use colony_core::merge::{Conflict, Occasion, Resolution, Side};
    use colony_wasm::{Limits, Runtime};
    use colony_wire::Position;
    use colony_wire::session::Content;

    use super::*;

    #[test]
    fn it_keeps_ours_whatever_the_question_and_however_often() {
        let runtime = Runtime::new(Limits::DEFAULT).expect("this machine runs WebAssembly");
        let plugin = runtime.load_merge("empty", EMPTY_MERGE).expect("a plugin");
        let side = |bytes: usize| Side {
            content: Content::Attributes([("a".to_owned(), vec![7; bytes].into())].into()),
            version: Position::default(),
            written_at: 1,
            expires_in: None,
        };
        for bytes in [0, 1, 80_000, 3] {
            let conflict = Conflict {
                namespace: "test".into(),
                occasion: Occasion::ConcurrentSave,
                attributes: vec!["a".into()],
                base: Some(side(bytes)),
                ours: side(bytes),
                theirs: side(bytes),
            };
            for _ in 0..50 {
                assert_eq!(plugin.merge(&conflict), Ok(Resolution::KeepOurs));
            }
        }
    }
}

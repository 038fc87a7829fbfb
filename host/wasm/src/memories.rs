//! How many memories a component declares, found without compiling it.
//!
//! A binary is a header and then sections: a byte that says which, the length as a LEB128 number, the content. Modules
//! and components in a component are sections that hold whole binaries. What does not read like that is the validator's
//! to refuse.

/// Header of a module or a component: the magic number, the version and the layer.
const HEADER: usize = 8;
/// Where in the header the layer is, and which means a component.
const LAYER: usize = 6;
const COMPONENT: u8 = 1;
/// Sections of a component that hold a module, and a component.
const MODULE_SECTION: u8 = 1;
const COMPONENT_SECTION: u8 = 4;
/// The section of a module that declares memories: their number, then what each is.
const MEMORY_SECTION: u8 = 5;

/// Memories of all modules of a component, whole. Those that modules share by import are counted once.
pub(crate) fn memories(component: &[u8]) -> usize {
    let mut count = 0_usize;
    // Each binary in it is smaller than the one around it, and is looked at once.
    let mut binaries = vec![component];
    while let Some(binary) = binaries.pop() {
        let is_component = binary.get(LAYER) == Some(&COMPONENT);
        let mut rest = binary.get(HEADER..).unwrap_or_default();
        while let Some((kind, content, behind)) = section(rest) {
            rest = behind;
            match kind {
                MODULE_SECTION | COMPONENT_SECTION if is_component => binaries.push(content),
                MEMORY_SECTION if !is_component => {
                    let declared = number(content).map_or(0, |(declared, _)| declared);
                    count = count.saturating_add(declared);
                }
                _ => {}
            }
        }
    }
    count
}

/// The next section, and what is behind it.
fn section(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (kind, bytes) = bytes.split_first()?;
    let (length, bytes) = number(bytes)?;
    let (content, behind) = bytes.split_at_checked(length)?;
    Some((*kind, content, behind))
}

/// A LEB128 number of 32 bits, and what is behind it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A binary of this layer with these sections.
    fn binary(layer: u8, sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![0, b'a', b's', b'm', 1, 0, layer, 0];
        for (kind, content) in sections {
            bytes.push(*kind);
            bytes.push(u8::try_from(content.len()).expect("short"));
            bytes.extend(content);
        }
        bytes
    }

    #[test]
    fn memories_of_all_modules_are_counted_however_deep() {
        let two = binary(0, &[(1, vec![0]), (MEMORY_SECTION, vec![2, 0, 1, 0, 1])]);
        let one = binary(0, &[(MEMORY_SECTION, vec![1, 0, 1])]);
        let inner = binary(1, &[(MODULE_SECTION, two)]);
        // A section of that number in a component is another thing.
        let whole = binary(1, &[(MODULE_SECTION, one), (COMPONENT_SECTION, inner), (MEMORY_SECTION, vec![9])]);
        assert_eq!(memories(&whole), 3);
    }

    #[test]
    fn what_is_cut_short_or_lies_about_its_length_is_counted_as_far_as_it_goes() {
        let one = binary(0, &[(MEMORY_SECTION, vec![1, 0, 1])]);
        let whole = binary(1, &[(MODULE_SECTION, one)]);
        for cut in 0..whole.len() {
            assert!(memories(&whole[..cut]) <= 1);
        }
        let mut endless = whole.clone();
        endless.extend([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
        assert_eq!(memories(&endless), 1);
        assert_eq!(memories(&[]), 0);
    }
}

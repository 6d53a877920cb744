//! Shared memory from the host down to the sandbox: a few slots of a fixed size, each an anonymous file that
//! the host mapped before it sealed it against any other writing. A slot holds one interval's snapshots as
//! Arrow streams, which the sandbox reads where they are.
#![allow(unsafe_code)] // Mapping memory.

use std::io::{self, Cursor};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use memmap2::{Mmap, MmapMut, MmapOptions};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::limits::{SLOT_BYTES, SLOTS};

/// Streams and buffers begin on cache lines, and so are aligned for every type.
const ALIGNMENT: usize = 64;

/// The host's end.
#[derive(Debug)]
pub(super) struct Ring {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    file: OwnedFd,
    memory: MmapMut,
    /// How many plugins have yet to answer from it.
    readers: usize,
}

impl Ring {
    pub(super) fn new() -> io::Result<Self> {
        let slots = (0..SLOTS).map(|_| Slot::new()).collect::<io::Result<_>>()?;
        Ok(Self { slots })
    }

    /// The slots' descriptors, to be handed to a process.
    pub(super) fn files(&self) -> io::Result<Vec<OwnedFd>> {
        self.slots.iter().map(|slot| slot.file.try_clone()).collect()
    }

    /// A slot that nobody reads.
    pub(super) fn free(&self) -> Option<usize> {
        self.slots.iter().position(|slot| slot.readers == 0)
    }

    /// Writes a batch at or after `offset` and says where it is; nothing if it does not fit.
    pub(super) fn write(
        &mut self,
        slot: usize,
        offset: usize,
        batch: &RecordBatch,
    ) -> Result<Option<std::ops::Range<usize>>, ArrowError> {
        let memory: &mut [u8] = &mut self.slots[slot].memory;
        let start = offset.next_multiple_of(ALIGNMENT);
        let Some(room) = memory.get_mut(start..) else { return Ok(None) };
        let mut cursor = Cursor::new(room);
        match encode(&mut cursor, batch) {
            Ok(()) => Ok(Some(start..start + usize::try_from(cursor.position()).unwrap_or(usize::MAX))),
            Err(ArrowError::IoError(_, error)) if error.kind() == io::ErrorKind::WriteZero => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn lend(&mut self, slot: usize, readers: usize) {
        self.slots[slot].readers = readers;
    }

    pub(super) fn give_back(&mut self, slot: usize) {
        self.slots[slot].readers = self.slots[slot].readers.saturating_sub(1);
    }

    /// Nobody reads any more: the process is gone.
    pub(super) fn take_back(&mut self) {
        self.slots.iter_mut().for_each(|slot| slot.readers = 0);
    }
}

impl Slot {
    fn new() -> io::Result<Self> {
        let file = memfd_create("weir-slot", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, SLOT_BYTES as u64)?;
        // SAFETY: the file is not known to anyone else, and is sealed below so that it keeps its size and
        // nobody but this mapping can ever write to it.
        let memory = unsafe { MmapOptions::new().len(SLOT_BYTES).map_mut(&file) }?;
        fcntl_add_seals(
            &file,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL,
        )?;
        Ok(Self { file, memory, readers: 0 })
    }
}

/// Writes a batch as an Arrow stream.
pub(crate) fn encode(writer: impl io::Write, batch: &RecordBatch) -> Result<(), ArrowError> {
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
    let mut writer = StreamWriter::try_new_with_options(writer, &batch.schema(), options)?;
    writer.write(batch)?;
    writer.finish()
}

/// Reads it again. The batch's columns refer to the buffer.
pub(crate) fn decode(mut stream: Buffer) -> Result<RecordBatch, ArrowError> {
    let batch = StreamDecoder::new().decode(&mut stream)?;
    batch.ok_or_else(|| ArrowError::IpcError("the stream has no batch".to_owned()))
}

/// An anonymous file of a fixed size, to be written by one other process.
pub(super) fn blank(name: &str, size: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, size as u64)?;
    fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW)?;
    Ok(file)
}

/// Ends all writing to a [`blank`]; fails while anyone could still write to it through a mapping.
pub(super) fn seal(file: &OwnedFd) -> io::Result<()> {
    Ok(fcntl_add_seals(file, SealFlags::WRITE | SealFlags::SEAL)?)
}

/// Writes to the beginning of a [`blank`]; nothing if it does not fit. By mapping, because the process that
/// does this may have given up the right to write to files.
pub(super) fn fill(file: &OwnedFd, size: usize, bytes: &[u8]) -> io::Result<bool> {
    if bytes.len() > size {
        return Ok(false);
    }
    // SAFETY: the file keeps its size, and nobody reads it before this process has ended.
    let mut memory = unsafe { MmapOptions::new().len(size).map_mut(file) }?;
    memory[..bytes.len()].copy_from_slice(bytes);
    Ok(true)
}

/// Maps a sealed file, or a slot, for reading.
pub(super) fn map(file: impl AsFd, length: usize) -> io::Result<Mmap> {
    let file = file.as_fd();
    let size = usize::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0);
    if length > size {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the file is shorter than it should be"));
    }
    // SAFETY: the file is sealed against getting shorter. A sealed file never changes; a slot changes only
    // after the last answer from it, when nothing that refers to the mapping is left in this process.
    unsafe { MmapOptions::new().len(length).map(&file) }
}

/// The sandbox's end.
#[derive(Debug)]
pub(super) struct Slots(Vec<Arc<Mmap>>);

impl Slots {
    pub(super) fn new(files: Vec<OwnedFd>) -> io::Result<Self> {
        Ok(Self(files.iter().map(|file| map(file, SLOT_BYTES).map(Arc::new)).collect::<io::Result<_>>()?))
    }

    /// Decodes a table where it is. Its columns refer to the slot.
    pub(super) fn read(&self, slot: usize, offset: usize, length: usize) -> Result<RecordBatch, ArrowError> {
        let wrong = || ArrowError::IpcError("the order does not match the slot".to_owned());
        let memory = self.0.get(slot).ok_or_else(wrong)?;
        let end = offset.checked_add(length).ok_or_else(wrong)?;
        let bytes = memory.get(offset..end).ok_or_else(wrong)?;
        // SAFETY: the pointer and length are those of a slice of the mapping, which the buffer keeps alive.
        let stream =
            unsafe { Buffer::from_custom_allocation(NonNull::from(bytes).cast(), length, memory.clone()) };
        decode(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, UInt64Array};

    fn batch(rows: u64) -> RecordBatch {
        let column: ArrayRef = Arc::new(UInt64Array::from_iter_values(0..rows));
        RecordBatch::try_from_iter([("n", column)]).unwrap()
    }

    #[test]
    fn a_batch_is_read_where_it_was_written() {
        let mut ring = Ring::new().unwrap();
        let first = ring.write(0, 0, &batch(3)).unwrap().unwrap();
        let second = ring.write(0, first.end, &batch(70_000)).unwrap().unwrap();
        let slots = Slots::new(ring.files().unwrap()).unwrap();
        assert_eq!(slots.read(0, first.start, first.len()).unwrap(), batch(3));
        let read = slots.read(0, second.start, second.len()).unwrap();
        assert_eq!(read, batch(70_000));
        let values = read.column(0).to_data().buffers()[0].as_ptr();
        assert!(slots.0[0].as_ptr_range().contains(&values), "the column was copied");
        assert!(slots.read(0, SLOT_BYTES, 1).is_err());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut ring = Ring::new().unwrap();
        assert!(ring.write(0, SLOT_BYTES - 4096, &batch(1_000)).unwrap().is_none());
        assert!(ring.write(0, SLOT_BYTES, &batch(1)).unwrap().is_none());
    }

    #[test]
    fn a_slot_cannot_be_changed_from_outside() {
        let ring = Ring::new().unwrap();
        let file = &ring.files().unwrap()[0];
        assert!(rustix::io::write(file, b"x").is_err());
        assert!(ftruncate(file, 1).is_err());
        // SAFETY: the mapping is not used.
        assert!(unsafe { MmapOptions::new().len(4096).map_mut(file) }.is_err());
    }

    #[test]
    fn a_slot_is_free_again_after_its_last_reader() {
        let mut ring = Ring::new().unwrap();
        for slot in 0..SLOTS {
            assert_eq!(ring.free(), Some(slot));
            ring.lend(slot, 2);
        }
        assert_eq!(ring.free(), None);
        ring.give_back(1);
        assert_eq!(ring.free(), None);
        ring.give_back(1);
        assert_eq!(ring.free(), Some(1));
    }
}

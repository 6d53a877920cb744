//! Answers on their way to one client. Nothing waits for a client: what finds no room is counted, and the client told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::protocol::Answer;

/// Answers under way to a client that does not read.
pub(super) const ROOM: usize = 256;
/// Their bytes. An answer of any size is let through if there is no other.
const ROOM_BYTES: usize = 32 << 20;

#[derive(Debug)]
pub(super) struct Stream {
    /// Of its connection.
    pub(super) number: u64,
    sender: SyncSender<(usize, Answer)>,
    under_way: Arc<AtomicUsize>,
    lost: u64,
    closed: bool,
}

/// The other end.
#[derive(Debug)]
pub(super) struct Answers {
    receiver: Receiver<(usize, Answer)>,
    under_way: Arc<AtomicUsize>,
}

impl Stream {
    pub(super) fn new(number: u64) -> (Self, Answers) {
        let (sender, receiver) = sync_channel(ROOM);
        let under_way = Arc::<AtomicUsize>::default();
        let answers = Answers { receiver, under_way: under_way.clone() };
        (Self { number, sender, under_way, lost: 0, closed: false }, answers)
    }

    pub(super) fn put(&mut self, answer: Answer) {
        let bytes = answer.bytes();
        let under_way = self.under_way.load(Ordering::Relaxed);
        if under_way > 0 && under_way.saturating_add(bytes) > ROOM_BYTES {
            self.lost += 1;
            return;
        }
        if self.lost > 0 && self.send(0, Answer::Lost(self.lost)) {
            self.lost = 0;
        }
        if !self.send(bytes, answer) {
            self.lost += 1;
        }
    }

    fn send(&mut self, bytes: usize, answer: Answer) -> bool {
        // Before it is there for the other end, which takes them off again.
        self.under_way.fetch_add(bytes, Ordering::Relaxed);
        let sent = self.sender.try_send((bytes, answer));
        if sent.is_err() {
            self.under_way.fetch_sub(bytes, Ordering::Relaxed);
        }
        self.closed |= matches!(sent, Err(TrySendError::Disconnected(_)));
        sent.is_ok()
    }

    /// Nobody is there any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

impl Answers {
    /// Passes the next answer on. It is under way until that is done.
    pub(super) fn next<T>(
        &self,
        within: Duration,
        pass_on: impl FnOnce(Answer) -> T,
    ) -> Result<T, RecvTimeoutError> {
        let (bytes, answer) = self.receiver.recv_timeout(within)?;
        let done = pass_on(answer);
        self.under_way.fetch_sub(bytes, Ordering::Relaxed);
        Ok(done)
    }

    /// The first answer; nothing if there is none in that time.
    pub(super) fn first(&self, patience: Duration) -> Option<Answer> {
        self.receiver.recv_timeout(patience).ok().map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(answers: &Answers) -> Vec<Answer> {
        std::iter::from_fn(|| answers.next(Duration::ZERO, |answer| answer).ok()).collect()
    }

    #[test]
    fn who_does_not_read_is_told_what_is_lost() {
        let (mut stream, answers) = Stream::new(1);
        let done = |number: usize| Answer::Done(number.to_string());
        (0..ROOM + 5).for_each(|number| stream.put(done(number)));
        assert_eq!(all(&answers).len(), ROOM);
        stream.put(done(0));
        let found = all(&answers);
        assert!(matches!(&found[..], [Answer::Lost(5), Answer::Done(_)]), "{found:?}");
        drop(answers);
        stream.put(done(0));
        assert!(stream.is_closed());
    }

    #[test]
    fn large_answers_do_not_pile_up() {
        let (mut stream, answers) = Stream::new(1);
        let large = || Answer::Done("x".repeat(ROOM_BYTES / 4));
        (0..20).for_each(|_| stream.put(large()));
        assert_eq!(all(&answers).len(), 3);
        assert_eq!(stream.under_way.load(Ordering::Relaxed), 0);
        // One that is larger than all room arrives alone.
        stream.lost = 0;
        stream.put(Answer::Done("x".repeat(ROOM_BYTES * 2)));
        assert_eq!(all(&answers).len(), 1);
    }
}

//! Answers on their way to one client. Nothing waits for a client: what finds no room is counted, and the client told.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::protocol::Answer;

/// Answers under way to a client that does not read.
const ROOM: usize = 256;

#[derive(Debug)]
pub(super) struct Stream {
    /// Of its connection.
    pub(super) number: u64,
    sender: SyncSender<Answer>,
    lost: u64,
    closed: bool,
}

impl Stream {
    pub(super) fn new(number: u64) -> (Self, Receiver<Answer>) {
        let (sender, receiver) = sync_channel(ROOM);
        (Self { number, sender, lost: 0, closed: false }, receiver)
    }

    pub(super) fn put(&mut self, answer: Answer) {
        if self.lost > 0 {
            match self.sender.try_send(Answer::Lost(self.lost)) {
                Ok(()) => self.lost = 0,
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => self.closed = true,
            }
        }
        match self.sender.try_send(answer) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.lost += 1,
            Err(TrySendError::Disconnected(_)) => self.closed = true,
        }
    }

    /// Nobody is there any more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_is_told_what_is_lost() {
        let (mut stream, receiver) = Stream::new(1);
        let done = |number: usize| Answer::Done(number.to_string());
        (0..ROOM + 5).for_each(|number| stream.put(done(number)));
        assert_eq!(receiver.try_iter().count(), ROOM);
        stream.put(done(0));
        let answers: Vec<_> = receiver.try_iter().collect();
        assert!(matches!(&answers[..], [Answer::Lost(5), Answer::Done(_)]), "{answers:?}");
        drop(receiver);
        stream.put(done(0));
        assert!(stream.is_closed());
    }
}

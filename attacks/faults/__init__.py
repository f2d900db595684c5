"""Attacks on the reply itself: the Reply a hospital would have sent -> the SentReply."""

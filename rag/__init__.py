"""Commonplace: private, cited answers from your own notes, PDFs, mails and pictures."""

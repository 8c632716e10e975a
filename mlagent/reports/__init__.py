"""Pages for people, made from records: report.html, explore.html and model_card.md."""

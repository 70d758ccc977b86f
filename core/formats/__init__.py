"""Files of other people: readers that check before they believe. Below every stage."""

"""Reports for people: from counts to pages and pictures, without looking at anything but the values given."""

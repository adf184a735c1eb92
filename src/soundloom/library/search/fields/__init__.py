"""Fields of the files of a library, with what is made of them: sorted lists, counts and conditions."""

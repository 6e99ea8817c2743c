-- check: LEAK003 error cohort
-- question: the same pixels are in two splits, so the test set contains training pictures
-- one row: one picture with the lowest and highest key that show it
-- example: xray-mining check age_balanced
select
    min(members.image_key) as image_key,
    max(members.image_key) as other_image_key,
    images.pixel_digest
from members
inner join images on members.image_key = images.image_key
where images.pixel_digest is not null
group by images.pixel_digest
having min(members.fold) != max(members.fold) or min(members.split) != max(members.split)
order by image_key

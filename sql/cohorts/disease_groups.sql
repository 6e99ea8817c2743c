-- question: which of two groups of a finding a patient belongs to, with age, sex and year alike
-- one row: one patient's latest frontal image with a known group
-- note: an image's label goes before its study's, and that before its patient's; whom two sources
-- put into different groups is in neither
-- parameter: $finding text  name of the finding whose labels or values make the groups
-- parameter: $g2 text = '0'  label or value of group G2
-- parameter: $g3 text = '1'  label or value of group G3
-- parameter: $age_band_years integer = 5  width of the age bands that are matched
-- target: group binary positive='G3'
-- made of: findings
-- report: reports/group_balance
-- example: xray-mining cohort disease_groups --param finding=stage --param g2=I --param g3=II
with
-- step: files that are there, one of each exposure
present as (
    select
        image_key, study_key, patient_key, patient_source, view_position, age_years,
        patient_sex, patient_sequence, study_year
    from eligible
),

-- step: with a patient id
identified as (
    select * exclude (patient_source)
    from present
    where patient_source != 'none'
),

-- step: frontal view, with age, and sex female or male
described as (
    select *
    from identified
    where
        view_position in ('PA', 'AP')
        and age_years is not null
        and patient_sex in ('F', 'M')
        and if($g2 != $g3, true, error('g2 and g3 must be different labels or values'))
        and if($age_band_years >= 1, true, error('age_band_years must be 1 or more'))
),

-- step: in one of the groups
grouped as (
    with
    named as (
        select
            image_key,
            study_key,
            patient_key,
            case coalesce(label, value::varchar)
                when if(label is null, try_cast($g2 as double)::varchar, $g2) then 'G2'
                when if(label is null, try_cast($g3 as double)::varchar, $g3) then 'G3'
                else 'neither'
            end as side
        from findings
        where name = $finding and (label is not null or value is not null)
    ),

    by_image as (
        select image_key, if(min(side) = max(side), min(side), 'neither') as side
        from named
        where image_key is not null
        group by image_key
    ),

    by_study as (
        select study_key, if(min(side) = max(side), min(side), 'neither') as side
        from named
        where image_key is null and study_key is not null
        group by study_key
    ),

    by_patient as (
        select patient_key, if(min(side) = max(side), min(side), 'neither') as side
        from named
        where image_key is null and study_key is null
        group by patient_key
    ),

    stated as (
        select
            described.*,
            coalesce(by_image.side, by_study.side, by_patient.side) as "group"
        from described
        left join by_image on described.image_key = by_image.image_key
        left join by_study on described.study_key = by_study.study_key
        left join by_patient on described.patient_key = by_patient.patient_key
    )

    select *
    from stated
    where "group" in ('G2', 'G3')
),

-- step: latest image of a patient
latest as (
    select *
    from grouped
    qualify row_number() over (partition by patient_key order by patient_sequence desc) = 1
),

-- step: as many of each group, of the same age band, sex and year
matched as (
    with
    ranked as (
        select
            *,
            floor(age_years / $age_band_years) as age_band,
            row_number() over (
                partition by "group", floor(age_years / $age_band_years), patient_sex, study_year
                order by md5(patient_key::varchar)
            ) as place
        from latest
    )

    select image_key, "group"
    from ranked
    qualify count(*) over (partition by age_band, patient_sex, study_year, place) = 2
)

select image_key, "group"
from matched
